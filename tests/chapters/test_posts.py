"""The posts: every claim has one, and what is said of them fits the rules."""

import pytest

from attention_in_motion.chapters import contents, posts


@pytest.mark.parametrize("claim", contents.RULES)
def test_every_claim_has_a_post(claim):
    assert posts.post_of(claim).number == int(claim[1])


def test_another_id_has_none():
    with pytest.raises(ValueError, match=r"claim = 'P9.1': must begin with P1 … P4"):
        posts.post_of("P9.1")


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
