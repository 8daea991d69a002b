// Filters the table of questions. Without it the page shows all of them.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const form = byId("filters");
  if (!form) return;
  const [words, result, tag, shown] = ["words", "result", "tag", "shown"].map(byId);
  const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replaceAll("ı", "i");
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
        (!result.value || row.dataset.result === result.value || (result.value === "wrong" && "wrong" in row.dataset)) &&
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
  form.addEventListener("change", filter); // some browsers send no "input" from a select
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  for (const button of document.querySelectorAll("button.choose")) {
    button.disabled = false;
    button.addEventListener("click", () => {
      const chosen = byId(button.dataset.filter);
      form.reset(); // what the button counts is shown, whatever was filtered before
      chosen.value = button.dataset.value;
      filter();
      form.scrollIntoView();
      chosen.focus({ preventScroll: true });
    });
  }
  form.hidden = false;
  filter();
})();
