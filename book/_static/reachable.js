// What is wider than its column can be scrolled with the keyboard, and shows that it scrolls.
const FORMULA = "div.math, mjx-container[display='true']";
const WIDE = `${FORMULA}, .pst-scrollable-table-container, .bd-article pre`;

function mark(box) {
  const wide = box.scrollWidth > box.clientWidth + 1;
  box.classList.toggle("scrolls", wide);
  if (!wide) return;
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", box.matches(FORMULA) ? "wide equation" : "wide table or code");
}

const markAll = () => document.querySelectorAll(WIDE).forEach(mark);

window.addEventListener("load", () => {
  const typeset = window.MathJax?.startup?.promise ?? Promise.resolve();
  typeset.then(markAll);
  window.addEventListener("resize", markAll);
});
