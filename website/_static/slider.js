// A slider over the frames of a picture: they lie side by side in it, row by row, and one is
// shown at a time. Without JavaScript the whole picture stays.
document.addEventListener("DOMContentLoaded", () => {
  for (const figure of document.querySelectorAll("figure.frames")) {
    const names = JSON.parse(figure.dataset.frames);
    const columns = Number(figure.dataset.columns);
    const rows = Math.ceil(names.length / columns);
    const picture = figure.querySelector("img");
    const [input, label, told] = ["input", "label", "output"].map((tag) => document.createElement(tag));

    const view = document.createElement("div");
    view.className = "frame";
    picture.replaceWith(view);
    view.append(picture);
    picture.style.width = `${100 * columns}%`;

    const show = () => {
      const number = Number(input.value);
      const [row, column] = [Math.floor(number / columns), number % columns];
      picture.style.transform = `translate(${(-100 * column) / columns}%, ${(-100 * row) / rows}%)`;
      told.textContent = names[number];
      input.setAttribute("aria-valuetext", `${figure.dataset.label} ${names[number]}`);
    };
    const size = () => {
      const [width, height] = [picture.naturalWidth / columns, picture.naturalHeight / rows];
      view.style.aspectRatio = `${width} / ${height}`;
      view.style.maxWidth = `${width}px`; // no wider than it was drawn
    };
    Object.assign(input, { type: "range", min: 0, max: names.length - 1, step: 1 });
    input.value = Math.max(0, names.indexOf(figure.dataset.start));
    input.addEventListener("input", show);
    label.append(`${figure.dataset.label} `, input, told);
    figure.prepend(label);
    picture.complete ? size() : picture.addEventListener("load", size);
    show();
  }
});
