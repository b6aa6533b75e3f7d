// A heading with data-sort becomes a button that sorts its table: the best first, then, pressed again, the worst.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  const asTheyCame = [...body.rows];
  const cellValue = (row, column, isNumber) => {
    const value = row.cells[column].dataset.value;
    return isNumber ? Number(value) : value.toLowerCase();
  };
  headings.forEach((heading, column) => {
    if (!heading.dataset.sort) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const best = heading.dataset.best === "most" ? "descending" : "ascending";
      const worst = best === "ascending" ? "descending" : "ascending";
      const order = heading.getAttribute("aria-sort") === best ? worst : best;
      for (const each of headings) each.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", order);
      table.dataset.sorted = heading.dataset.name === "place" && order === "ascending" ? "place" : "other";
      const sign = order === "ascending" ? 1 : -1;
      const isNumber = heading.dataset.sort === "number";
      const compare = (first, second) => {
        const [a, b] = [cellValue(first, column, isNumber), cellValue(second, column, isNumber)];
        return a < b ? -sign : a > b ? sign : 0;
      };
      body.append(...[...asTheyCame].sort(compare)); // sort is stable: equals stay in the order of their places
    });
  });
}
