// What scrolls inside the page can be reached with the keyboard, and says what it is.
document.addEventListener("DOMContentLoaded", () => {
  const kinds = [
    ["Code", "div.cell_input pre, div[class*='highlight-'] pre"],
    ["Output", "div.cell_output pre, div.cell_output > div.output"],
    ["Formula", "div.math"],
    ["Table", "div.pst-scrollable-table-container, table, td"],
    ["Text", "p, li, dd"],
  ];
  const places = new Map(); // what may scroll -> its name
  for (const [kind, where] of kinds) {
    let number = 0;
    for (const place of document.querySelectorAll("article.bd-article :is(" + where + ")")) {
      const output = kind === "Code" && place.closest("div.cell_output");
      if (!output && !places.has(place)) places.set(place, `${kind} ${++number}`);
    }
  }
  const scrolls = (place) => {
    const style = getComputedStyle(place);
    const across = place.scrollWidth > place.clientWidth && /auto|scroll/.test(style.overflowX);
    return across || (place.scrollHeight > place.clientHeight && /auto|scroll/.test(style.overflowY));
  };
  const mark = () => {
    const found = [...places.keys()].map(scrolls); // all are measured before one is changed
    let number = 0;
    for (const [place, name] of places) {
      if (found[number++]) {
        place.tabIndex = 0;
        place.setAttribute("role", "region");
        place.setAttribute("aria-label", name);
      } else if (place.getAttribute("aria-label") === name) {
        for (const word of ["tabindex", "role", "aria-label"]) place.removeAttribute(word);
      }
    }
  };
  let waits;
  const soon = () => {
    clearTimeout(waits);
    waits = setTimeout(mark, 400); // after the theme, which does the same for some, without names
  };
  new ResizeObserver(soon).observe(document.querySelector("main"));
  addEventListener("resize", soon);
  addEventListener("toggle", soon, true); // a solution that opens
  window.MathJax?.Hub?.Queue(mark);
  soon();
});
