// Sorting: a click on a column's button sorts its table, a second click the other way round.
// Rows without a figure stay last.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const headings = [...table.tHead.rows[1].cells];
  const body = table.tBodies[0];
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const descending = heading.dataset.first === "descending";
      const before = heading.getAttribute("aria-sort");
      const order = before === "none" ? (descending ? "descending" : "ascending")
        : before === "ascending" ? "descending" : "ascending";
      for (const other of headings) other.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const value = (row) => row.cells[column].dataset.value ?? "";
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        const difference = heading.dataset.words ? x.localeCompare(y) : Number(x) - Number(y);
        return sign * difference;
      });
      body.append(...rows);
      document.getElementById("said").textContent =
        `Sorted by ${heading.dataset.name}, ${order}`;
    });
  });
}
