// Filters the table of questions. Without it the page shows all of them.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const form = byId("filters");
  if (!form) return;
  const [words, result, tag, shown] = ["words", "result", "tag", "shown"].map(byId);
  const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const rows = Array.from(document.querySelectorAll("#questions > tbody > tr"), (row) => ({
    row,
    text: fold(Array.from(row.querySelectorAll("[data-find]"), (part) => part.textContent).join("\n")),
    tags: row.dataset.tags.split(" "),
  }));

  const filter = () => {
    const wanted = fold(words.value).split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { row, text, tags } of rows) {
      const fits =
        wanted.every((word) => text.includes(word)) &&
        (!result.value || row.dataset.result === result.value) &&
        (!tag || !tag.value || tags.includes(tag.value));
      row.hidden = !fits;
      count += fits;
    }
    shown.textContent = `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")} questions shown`;
  };

  let waiting;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 120);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  for (const button of document.querySelectorAll("button[data-show]")) {
    button.disabled = false;
    button.addEventListener("click", () => {
      result.value = button.dataset.show;
      filter();
      result.focus();
    });
  }
  form.hidden = false;
  filter();
})();
