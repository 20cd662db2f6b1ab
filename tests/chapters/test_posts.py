"""The posts: every claim has one, and what is said of them fits the rules."""

import pytest

from attention_in_motion.chapters import contents, posts


@pytest.mark.parametrize("claim", contents.RULES)
def test_every_claim_has_a_post(claim):
    assert posts.post_of(claim).number == int(claim[1])


def test_a_claim_that_follows_no_post_has_none():
    assert posts.post_of("P9.1") is None and posts.post_of("P1.1").number == 1


def test_links_leave_out_what_is_not_public():
    without_post, without_code = posts.POSTS[3], posts.POSTS[2]
    assert posts.links(without_post).startswith("*Mechanistic") and "([code]" in posts.links(
        without_post
    )
    assert "code" not in posts.links(without_code)
    assert posts.short_links(without_post) == f"[code]({without_post.code})"


def test_addresses_are_secure():
    addresses = [address for post in posts.POSTS for address in (post.url, post.code) if address]
    assert len(addresses) == 6 and all(one.startswith("https://") for one in addresses)
