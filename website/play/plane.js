// The page "The plane of losses": one pair as a point, two losses side by side, all of them in a table.
(function () {
  "use strict";
  const { number, push: fine, equation, move, path, frame, widthOf, drawn, node, put, element, slider, choices, say, timed } = DPO.page;
  const $ = (id) => document.getElementById(id);
  const [EDGE, STEPS, GRID] = [4, 50, 0.5]; // the plane's half-width in nats, steps, distance of arrows

  // loss -> [words, its name in the registry, its options at the page's β and ε]
  const withBeta = (beta) => ({ beta });
  const soft = (beta, epsilon) => ({ beta, label_smoothing: epsilon });
  const LOSSES = {
    dpo: ["DPO", "dpo", withBeta],
    cdpo: ["cDPO", "cdpo", soft],
    robust_dpo: ["Robust DPO", "robust_dpo", soft],
    ipo: ["IPO", "ipo", (beta) => ({ tau: beta })],
    hinge: ["Hinge", "hinge", withBeta],
    exo: ["EXO", "exo", soft],
    discopop: ["DiscoPOP", "discopop", (beta) => ({ beta, tau: 0.05 })],
    nca: ["NCA", "nca", withBeta],
    apo_zero: ["APO-zero", "apo_zero", withBeta],
    apo_down: ["APO-down", "apo_down", withBeta],
    sppo: ["SPPO", "sppo", withBeta],
    bco_pair: ["BCO on pairs", "bco_pair", (beta) => ({ beta, delta: 0 })],
    dpop: ["DPOP", "dpop", (beta) => ({ beta, penalty: 5 })],
    forward_kl: ["f-DPO, forward KL", "f_dpo", (beta) => ({ beta, divergence: "forward_kl" })],
    js: ["f-DPO, JS", "f_dpo", (beta) => ({ beta, divergence: "js" })],
    alpha: ["f-DPO, α = ½", "f_dpo", (beta) => ({ beta, divergence: "alpha", alpha: 0.5 })],
    chi_po: ["χPO", "chi_po", withBeta],
  };
  const state = { w: 0, l: 0, beta: 1, epsilon: 0.1, rate: 0.1, cosine: 0, ratio: 1, a: "dpo", b: "ipo" };

  // Value, pushes and path of a loss from the point.
  function look(name) {
    const [, registered, options] = LOSSES[name];
    const at = options(state.beta, state.epsilon);
    const pair = { chosen: state.w, rejected: state.l, refChosen: 0, refRejected: 0 };
    const push = DPO.push(registered, state.w, state.l, at);
    const steps = DPO.descend(registered, [state.w, state.l], at, STEPS, state.rate, state.cosine, state.ratio);
    return { value: DPO.losses(registered, [pair], at)[0][0], push, steps, end: steps[STEPS] };
  }

  // ---------------------------------------------------------------- the planes
  const planes = { a: {}, b: {} };

  // An arrow with its point, in pixels.
  function arrow(x, y, dx, dy, head) {
    const length = Math.hypot(dx, dy);
    if (length < 0.5) return "";
    const [ux, uy, size] = [dx / length, dy / length, Math.min(head, length)];
    const tip = [x + dx, y + dy];
    const side = (k) => [tip[0] - size * (ux + k * uy * 0.6), tip[1] - size * (uy - k * ux * 0.6)];
    return path([[x, y], tip]) + path([side(1), tip, side(-1)]);
  }

  function drawPlane(which) {
    const svg = $(`plane-${which}`);
    const ticks = [-4, -2, 0, 2, 4];
    const size = widthOf(svg);
    const at = frame(svg, {
      x: { from: -EDGE, to: EDGE, ticks, label: "chosen: log-ratio, nats" },
      y: { from: -EDGE, to: EDGE, ticks, label: "rejected: log-ratio, nats" },
      height: size,
    });
    const plane = (planes[which] = { at });
    at.add("path", { class: "optimum thin", d: path([[at.x(-EDGE), at.y(-EDGE)], [at.x(EDGE), at.y(EDGE)]]) });
    plane.field = at.add("path", { class: "field" });
    for (const [x, y, anchor, words] of [
      [at.x(EDGE) - 12, at.y(EDGE) + 26, "end", "both likelier"],
      [at.x(-EDGE) + 24, at.y(-EDGE) - 24, "start", "both less likely"],
      [at.x(EDGE) - 12, at.y(-EDGE) - 24, "end", "as labelled"],
      [at.x(-EDGE) + 24, at.y(EDGE) + 26, "start", "the wrong way round"],
    ])
      at.add("text", { class: "reference halo", x, y, "text-anchor": anchor }, words);
    plane.run = at.add("path", { class: "policy", clip: true });
    plane.end = at.add("rect", { class: "policy dot", width: 10, height: 10, clip: true });
    plane.push = at.add("path", { class: "push" });
    plane.handles = [handle(which, "chosen"), handle(which, "rejected"), handle(which, "pair")];
    updateField(which);
    updatePlane(which);
  }

  // Arrows over the plane, their length the square root of the slope, the longest as long as a step of the grid.
  function updateField(which) {
    const { at, field } = planes[which];
    const [, registered, options] = LOSSES[state[which]];
    const arrows = [];
    for (let w = -EDGE + GRID; w < EDGE; w += GRID)
      for (let l = -EDGE + GRID; l < EDGE; l += GRID) arrows.push([w, l, ...DPO.push(registered, w, l, options(state.beta, state.epsilon))]);
    const longest = Math.sqrt(Math.max(...arrows.map(([, , a, b]) => Math.hypot(a, b)), 1e-9));
    const cell = 0.95 * (at.x(GRID) - at.x(0));
    planes[which].scale = cell / longest;
    planes[which].longest = arrows.reduce((most, each) => (Math.hypot(each[2], each[3]) > Math.hypot(most[2], most[3]) ? each : most)).slice(2);
    const drawArrow = ([w, l, a, b]) => {
      const size = Math.sqrt(Math.hypot(a, b));
      const factor = size > 0 ? planes[which].scale / size : 0; // the root, in the push's direction
      return arrow(at.x(w), at.y(l), factor * a, -factor * b, 4);
    };
    move(field, { d: arrows.map(drawArrow).join("") });
  }

  // A thing to take hold of: the pair itself, or one response at the border.
  function handle(which, kind) {
    const { at } = planes[which];
    const side = which === "a" ? "left" : "right";
    const words = { chosen: "Chosen response's log-ratio", rejected: "Rejected response's log-ratio", pair: "The pair: left and right move the chosen response, up and down the rejected one" };
    const group = at.add("g", {
      class: `handle ${kind}`,
      id: `${kind}-${which}`,
      tabindex: 0,
      role: "slider",
      "aria-label": `${words[kind]} (plane on the ${side})`,
      "aria-orientation": kind === "rejected" ? "vertical" : "horizontal",
      "aria-valuemin": -EDGE,
      "aria-valuemax": EDGE,
    });
    const shape = { pair: ["circle", { r: 9 }], chosen: ["path", { d: "M0 -17L9 -1H-9Z" }], rejected: ["path", { d: "M17 0L1 -9V9Z" }] }[kind]; // beside the ticks
    group.append(element("circle", { class: "reach", r: 22 }), element(...shape));
    group.addEventListener("keydown", (event) => press(event, kind));
    group.addEventListener("pointerdown", (event) => {
      group.setPointerCapture(event.pointerId);
      group.focus();
      event.preventDefault();
    });
    group.addEventListener("pointermove", (event) => {
      if (!group.hasPointerCapture(event.pointerId)) return;
      const box = $(`plane-${which}`).getBoundingClientRect();
      const back = (pixel, scale) => ((pixel - scale(0)) / (scale(1) - scale(0)));
      const [w, l] = [back(event.clientX - box.left, at.x), back(event.clientY - box.top, at.y)];
      go(kind === "rejected" ? state.w : w, kind === "chosen" ? state.l : l);
    });
    return group;
  }

  function press(event, kind) {
    const size = event.shiftKey ? 1 : 0.1;
    const both = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    let [dw, dl] = (both[event.key] || [0, 0]).map((x) => x * size);
    if (event.key === "Home") [dw, dl] = [-2 * EDGE, -2 * EDGE];
    if (event.key === "End") [dw, dl] = [2 * EDGE, 2 * EDGE];
    if (!dw && !dl) return;
    event.preventDefault();
    if (kind !== "pair") [dw, dl] = kind === "chosen" ? [dw || dl, 0] : [0, dl || dw];
    go(state.w + dw, state.l + dl);
  }

  // Moves the pair, to a hundredth of a nat.
  function go(w, l) {
    const inside = (x) => Math.round(100 * Math.min(Math.max(x, -EDGE), EDGE)) / 100;
    timed(() => {
      [state.w, state.l] = [inside(w), inside(l)];
      show();
    });
  }

  function updatePlane(which) {
    const { at, run, end, push, handles, scale } = planes[which];
    const seen = look(state[which]);
    const [x, y] = [at.x(state.w), at.y(state.l)];
    const bent = (k) => Math.min(Math.max(k, -3 * EDGE), 3 * EDGE); // far outside is outside
    move(run, { d: path(seen.steps.map(([w, l]) => [at.x(bent(w)), at.y(bent(l))])) });
    move(end, { x: at.x(bent(seen.end[0])) - 5, y: at.y(bent(seen.end[1])) - 5 });
    const size = Math.sqrt(Math.hypot(...seen.push));
    const factor = size > 0 ? (1.6 * scale) / size : 0;
    move(push, { d: arrow(x, y, factor * seen.push[0], -factor * seen.push[1], 8) });
    const places = [[x, at.y(-EDGE)], [at.x(-EDGE), y], [x, y]];
    const told = [`chosen ${number(state.w)}`, `rejected ${number(state.l)}`, `chosen ${number(state.w)}, rejected ${number(state.l)}`];
    handles.forEach((handle, i) =>
      move(handle, {
        transform: `translate(${places[i].map((k) => k.toFixed(1)).join(" ")})`,
        "aria-valuenow": i === 1 ? state.l : state.w,
        "aria-valuetext": `${told[i]} nats`,
      })
    );
    $(`told-${which}`).textContent = sentence(which, seen);
  }

  // Does the push turn round within `distance` nats along its own direction, or is there none?
  function turns(name, [w, l], distance) {
    const [, registered, options] = LOSSES[name];
    const at = options(state.beta, state.epsilon);
    const [a, b] = DPO.push(registered, w, l, at);
    const length = Math.hypot(a, b);
    if (!length) return true;
    const [u, v] = [a / length, b / length];
    const [c, d] = DPO.push(registered, w + distance * u, l + distance * v, at);
    return u * c + v * d <= 0;
  }

  // Where a loss stops from the pair's place: in a sentence, and in a cell of the table.
  function stops(name) {
    const [, registered, options] = LOSSES[name];
    const goal = DPO.goal(registered, options(state.beta, state.epsilon));
    const never = "It never stops pushing";
    if (!goal) return [`${never}.`, "never"];
    const { gap, up, below, chosen, rejected } = goal;
    if (gap === undefined && rejected === undefined) return [`${never}; the chosen response alone would rest at ${number(chosen)}.`, "never"];
    if (gap === undefined) return [`It stops at (${number(chosen)}, ${number(rejected)}).`, `${number(chosen)}, ${number(rejected)}`];
    if (up) return [`It stops at a gap of ${number(gap)}, and at any larger one.`, `gap ≥ ${number(gap)}`];
    if (below === undefined) return [`It stops at a gap of ${number(gap)}.`, `gap ${number(gap)}`];
    if (state.w - state.l > below) return [`${never}; from a gap below ${number(below)} it would stop at one of ${number(gap)}.`, "never"];
    return [`It stops at a gap of ${number(gap)}; from one above ${number(below)} it never stops pushing.`, `gap ${number(gap)}`];
  }

  function sentence(which, { value, push, end }) {
    const name = state[which];
    const [words, registered] = LOSSES[name];
    const { title, equation: written } = DPO.registry[registered];
    const full = words.startsWith(title) || title.startsWith(words) ? "" : ` (${title})`;
    const [dw, dl] = [end[0] - state.w, end[1] - state.l];
    const still = Math.abs(dw) < 0.005 && Math.abs(dl) < 0.005;
    let what = "";
    const [aim, cell] = stops(name);
    const rest = cell !== "never" && turns(name, end, 0.02);
    if (still) what = rest ? " It stays where it is." : " It moved by less than 0.005 nats, but is not at rest.";
    else if (dw < -0.005 && dl < -0.005) what = " Both became less likely: the probability that they lost went to other texts.";
    else if (dw > 0.005 && dl > 0.005) what = " Both became likelier, at the cost of other texts.";
    else if (dw - dl < -0.005) what = " The gap shrank.";
    return (
      `${words}${full}, ${equation(written)}. At (${number(state.w)}, ${number(state.l)}) it is ${number(value, 3)} and pushes ` +
      `the chosen response by ${fine(push[0])}, the rejected one by ${fine(push[1])}. ` +
      `After ${STEPS} steps: chosen ${number(end[0])}, rejected ${number(end[1])}, gap ${number(end[0] - end[1])}${rest ? ", at rest" : ""}.${what} ${aim} ` +
      `The longest arrow in this plane is a push of ${(planes[which].longest || [0, 0]).map(fine).join(" and ")}.`
    );
  }

  // ---------------------------------------------------------------- the table
  const rows = {};
  function makeTable() {
    for (const [name, [words]] of Object.entries(LOSSES)) {
      const row = $("all").tBodies[0].insertRow();
      row.append(node("th", { scope: "row" }, words));
      rows[name] = Array.from({ length: 6 }, () => row.insertCell());
    }
  }

  function fillTable() {
    for (const [name, cells] of Object.entries(rows)) {
      const { push, end } = look(name);
      const words = [fine(push[0]), fine(push[1]), number(end[0]), number(end[1]), number(end[0] - end[1]), stops(name)[1]];
      cells.forEach((cell, i) => put(cell, words[i]));
    }
  }

  function show() {
    for (const which of ["a", "b"]) if (planes[which].at) updatePlane(which);
    fillTable();
    say(`${$("told-a").textContent} ${$("told-b").textContent}`);
  }

  // ---------------------------------------------------------------- begin
  const set = (name) => (value) =>
    timed(() => {
      state[name] = value;
      for (const which of ["a", "b"]) updateField(which);
      show();
    });
  const steps = (from, to, by, digits) => Array.from({ length: Math.round((to - from) / by) + 1 }, (_, k) => Number((from + k * by).toFixed(digits)));
  slider("beta", { values: steps(0.1, 2, 0.1, 1), start: state.beta, words: String, changed: set("beta") });
  slider("epsilon", { values: [0.01, ...steps(0.05, 0.45, 0.05, 2)], start: state.epsilon, words: (x) => `${Math.round(100 * x)} %`, changed: set("epsilon") });
  slider("rate", { values: [0.02, 0.05, 0.1, 0.15, 0.2], start: state.rate, words: String, changed: set("rate") });
  slider("cosine", { values: steps(0, 0.95, 0.05, 2), start: state.cosine, words: (x) => (x ? `cosine ${x}` : "not at all"), changed: set("cosine") });
  slider("ratio", { values: steps(1, 2, 0.1, 1), start: state.ratio, words: (x) => (x > 1 ? `${x} times as long` : "as long"), changed: set("ratio") });
  const names = Object.entries(LOSSES).map(([name, [words]]) => [name, words]);
  choices("loss-a", names, state.a, set("a"));
  choices("loss-b", names, state.b, set("b"));
  $("middle").addEventListener("click", () => go(0, 0));
  makeTable();
  for (const which of ["a", "b"]) drawn($(`plane-${which}`), () => drawPlane(which));
  show();
})();
