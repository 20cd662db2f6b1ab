// The table of claims, filtered by post and verdict. Without this script the whole table is shown.
const said = (row) => ({
  post: row.querySelector(".claim-id").textContent.slice(1).split(".")[0],
  verdict: row.querySelector(".verdict")?.textContent ?? "",
});

function choice(label, all, values, shown) {
  const select = document.createElement("select");
  select.add(new Option(all, ""));
  values.forEach((value) => select.add(new Option(shown(value), value)));
  const wrapped = document.createElement("label");
  wrapped.append(`${label} `, select);
  return [wrapped, select];
}

function filter(rows) {
  const values = (key) => [...new Set(rows.map((row) => said(row)[key]))].filter(Boolean).sort();
  const [byPost, post] = choice("Post", "all", values("post"), (n) => n);
  const [byVerdict, verdict] = choice("Verdict", "all", values("verdict"), (word) => word);
  const status = document.createElement("span");
  status.setAttribute("role", "status");

  function apply() {
    const fits = (row) =>
      [post, verdict].every((one, i) => !one.value || one.value === said(row)[["post", "verdict"][i]]);
    rows.forEach((row) => { row.hidden = !fits(row); });
    const sections = new Set(rows.map((row) => row.closest("section")));
    sections.forEach((part) => {
      part.hidden = ![...part.querySelectorAll("tr")].some((row) => !row.hidden && row.querySelector(".claim-id"));
    });
    status.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} claims`;
  }

  function showLinked() {  // a link to a claim shows it, whatever the filter says
    const row = document.getElementById(location.hash.slice(1))?.closest("tr");
    if (row?.hidden) { post.value = verdict.value = ""; apply(); row.scrollIntoView(); }
  }

  [post, verdict].forEach((select) => select.addEventListener("change", apply));
  window.addEventListener("hashchange", showLinked);
  const form = document.createElement("form");
  form.className = "claims-filter";
  form.setAttribute("aria-label", "Filter the claims");
  form.append(byPost, byVerdict, status);
  apply();
  return form;
}

document.addEventListener("DOMContentLoaded", () => {
  const rows = [...document.querySelectorAll("tr:has(.claim-id)")];
  const first = rows[0]?.closest("section");
  if (first) first.before(filter(rows));
});
