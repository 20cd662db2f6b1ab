// What can be counted in a page that has been drawn.
() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shown = (element) => element.getClientRects().length > 0;
  const short = (element) => element.outerHTML.slice(0, 160);
  const wide = (element) => element.scrollWidth > element.clientWidth + 1;
  const scrolls = (element) => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
  const inside = (element) => element.closest("[tabindex='0'], a, button");
  return {
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    images: all("article img").map((image) => ({
      source: image.getAttribute("src"), alt: image.alt, drawn: image.naturalWidth > 0,
    })),
    untypeset: all(".math").filter((maths) => !maths.querySelector("mjx-container")).map(short),
    typeset: all("mjx-container").length,
    faulty: all("[data-mml-node='merror'], mjx-merror").map(short),
    unreachable: all("article *").filter((e) => shown(e) && scrolls(e) && wide(e) && !inside(e)).map(short),
    icons: all("svg.svg-inline--fa").filter((icon) => !icon.querySelector("path")?.getAttribute("d")).map(short),
    unfound: all("i[class*='fa-']").map(short),
    next: all("a.right-next").map((link) => link.href)[0] ?? null,
    previous: all("a.left-prev").map((link) => link.href)[0] ?? null,
    description: document.querySelector("meta[name=description]")?.content ?? "",
    social: all("meta[property^='og:']").map((meta) => meta.getAttribute("property")),
    favicon: all("link[rel~=icon]").length,
  };
}
