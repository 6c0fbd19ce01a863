// What every page of the playground shares: light or dark, pictures in SVG, sliders, and words for
// those who don't see the pictures. It adds DPO.page, and knows nothing of any one page.
DPO.page = (function () {
  "use strict";

  // Every page, in the order of the bar at the top; a new one is added here and in index.html.
  const PAGES = [
    ["frontier", "β and the frontier"],
    ["plane", "The plane of losses"],
    ["bug", "Which bug?"],
    ["label", "You are the labeller"],
    ["token", "Read a token"],
  ];
  // The book's website. Where the pages stand in it, this address is replaced by "../".
  const BOOK = "https://dpo-from-scratch.github.io/dpo-from-scratch/";

  // Words that pages explain, each in one place: a page names those that it uses.
  const WORDS = {
    nat: "The unit of log-probabilities with the natural logarithm. 0.69 nats more is twice as likely, 2.3 nats ten times.",
    "log-probability": "The logarithm of how likely a text is; the sum over its tokens. In nats, and never above 0.",
    "log-ratio, ρ": "How much likelier a response has become than under the reference: the logarithm of policy over reference, in nats. ρ_w is the chosen one's, ρ_l the rejected one's.",
    "gap, Δ": "The chosen response's log-ratio minus the rejected one's, in nats.",
    "reward, r": "β times a log-ratio: the reward that a policy implies. r_w is the chosen response's, r_l the rejected one's. The true reward is another thing, and DPO never sees it.",
    "margin, m": "β times the gap: the chosen response's reward minus the rejected one's.",
    σ: "σ(x) = 1/(1 + e⁻ˣ) makes a probability of any number: σ(0) is ½, σ(2) is 0.88.",
    "log-odds": "log p/(1 − p). 0 is 50 to 50, 1 is 73 to 27, 2 is 88 to 12. About the mean: the mean of all scores is taken off, since only differences mean anything.",
    KL: "KL divergence: how far a policy lies from the reference. The mean log-ratio of the replies that the policy writes, in nats; 0 where both agree.",
    "price of a nat, β": "The reward that each nat of KL must earn. A large β keeps the policy near the reference.",
    "β and τ": "β says how much a nat counts in the margin. IPO calls its own τ: a small one asks for a large gap. DiscoPOP's τ is 0.05 and says how suddenly it changes.",
    "ε": "The share of labels that a loss takes to be the wrong way round.",
    "Z": "The number that makes the optimum's probabilities add up to one.",
    displacement: "Chosen and rejected both lose probability, to other texts; in a network often to some that no pair has judged.",
    accuracy: "The share of pairs with a margin above 0; a tie counts half.",
    "norm of the gradient": "How hard a batch pulls at all weights together: the length of the gradient. Where it is 0 nothing is trained.",
    "the doctor": "The book's programs that look for faults: one reads a log, the other makes small experiments with the training script.",
    mask: "Says which tokens count in the sum.",
    "the shift": "A model's output at one place speaks of the next token. So scores have to be moved by one place before they are read.",
    seam: "Where the prompt ends and the response begins.",
    end: "The token <eos> that closes a text.",
    prior: "A pull of all scores towards 0, as if no answer were much better than another. With none, only your choices count.",
    "standard error": "How far a score would typically move if all were chosen anew. A lead below twice its error may be chance.",
    "the ceiling": "The share of fresh choices that a perfect model would foresee, if these scores were true. The rest is chance.",
  };

  // An element of the page with its properties and what stands in it.
  function node(tag, properties, ...inside) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...inside);
    return made;
  }

  // Writes into a cell, if it doesn't stand there: most cells of a table stay as they are.
  function put(cell, words) {
    if (cell.words === words) return false;
    cell.textContent = cell.words = words;
    return true;
  }

  function showWords(fold) {
    const entry = (name) => node("div", {}, node("dt", {}, name), node("dd", {}, WORDS[name]));
    fold.append(node("dl", {}, ...fold.dataset.words.split("; ").map(entry)));
    fold.open = matchMedia("(min-width: 60rem)").matches;
    for (const link of document.querySelectorAll('a[href="#words"]')) link.addEventListener("click", () => (fold.open = true));
  }

  // ---------------------------------------------------------------- light or dark
  // The book's website remembers the choice under these two names; a page from a disk may not.
  const remembered = () => {
    try {
      return localStorage.getItem("mode");
    } catch {
      return null;
    }
  };
  const remember = (mode) => {
    try {
      localStorage.setItem("mode", mode);
      localStorage.setItem("theme", mode);
    } catch {
      // nothing is lost but the choice
    }
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let mode = remembered();

  function setTheme() {
    const chosen = mode === "light" || mode === "dark" ? mode : dark.matches ? "dark" : "light";
    document.documentElement.dataset.theme = chosen;
    const button = document.getElementById("theme");
    if (button) button.textContent = chosen === "dark" ? "Light" : "Dark";
  }
  setTheme();
  dark.addEventListener("change", setTheme);
  document.addEventListener("DOMContentLoaded", () => {
    setTheme();
    const link = (address, words) => {
      const made = node("a", { href: address }, words);
      if (location.pathname.endsWith(`/play/${address}`)) made.setAttribute("aria-current", "page");
      return made;
    };
    const bar = [[`${BOOK}index.html`, "DPO from Scratch"], ["index.html", "Playground"], ...PAGES.map(([file, words]) => [`${file}.html`, words])];
    document.querySelector("header nav").append(...bar.map(([address, words]) => link(address, words)));
    document.querySelector("footer").append("A page of ", link(`${BOOK}index.html`, "DPO from Scratch"), ". It works without a network, from a disk too. Nothing that you do leaves it.");
    const fold = document.getElementById("words");
    if (fold) showWords(fold);
    document.getElementById("theme").addEventListener("click", () => {
      mode = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
      remember(mode);
      setTheme();
    });
  });

  // ---------------------------------------------------------------- numbers in words
  // "−0.41": a real minus sign, and no minus before a zero.
  function number(x, digits = 2) {
    const text = Math.abs(x).toFixed(digits);
    return (x < 0 && Number(text) !== 0 ? "−" : "") + text;
  }
  const signed = (x, digits = 2) => (Number(x.toFixed(digits)) > 0 ? "+" : "") + number(x, digits);
  // A push, however small, in one digit: "+0.36", "+0.0003", "+1·10⁻⁷"; "0" is exactly nothing.
  function push(x) {
    if (x === 0 || Math.abs(x) >= 0.005) return x === 0 ? "0" : signed(x);
    const [digit, power] = Math.abs(x).toExponential(0).split("e-"); // rounds first: never 10·10⁻⁸
    if (power <= 4) return signed(x, Number(power));
    return `${x < 0 ? "−" : "+"}${digit}·10⁻${power.replace(/\d/g, (k) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[k])}`;
  }
  const percent = (p) => (p >= 0.0995 ? (100 * p).toFixed(0) : p >= 0.00005 ? (100 * p).toFixed(p < 0.00995 ? 2 : 1) : "0") + " %";

  // The registry's equations in the book's letters.
  const LETTERS = { beta: "β", rho: "ρ", Delta: "Δ", delta: "δ", sigmoid: "σ", eps: "ε", alpha: "α", tau: "τ", gamma: "γ", phi: "φ", ell: "ℓ", pi: "π" };
  const equation = (text) =>
    text.replace(/[A-Za-z]+/g, (word) => LETTERS[word] || word).replace(/\b1\/2 /g, "½ ").replace(/\^2/g, "²").replace(/-/g, "−").replace(/\+−/g, "±");

  // ---------------------------------------------------------------- pictures
  function element(tag, attributes = {}, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const name in attributes) made.setAttribute(name, attributes[name]);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  const move = (target, attributes) => {
    for (const name in attributes) target.setAttribute(name, attributes[name]);
  };

  const round = (x) => Math.round(x * 10) / 10; // a tenth of a pixel
  const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${round(x)} ${round(y)}`).join("");

  // Empties an SVG and draws axes at its present width. x and y: {from, to, ticks, label}. Gives the
  // scales, and add(tag, attributes, text), which draws inside the frame; `clip` in the attributes
  // cuts what lies outside of it. Axes that are those of the last drawing stay as they are.
  const frames = new Map(); // picture -> its last axes, in words, and the frame made for them
  function frame(svg, axes) {
    const width = Math.max(widthOf(svg), 260);
    const words = JSON.stringify([width, axes]);
    if (frames.get(svg)?.words !== words) frames.set(svg, { words, ...drawAxes(svg, width, axes) });
    const { inner, at } = frames.get(svg);
    inner.replaceChildren();
    return at;
  }

  function drawAxes(svg, width, { x, y, height, left = 44, right = 14, top = 26, bottom = 42 }) {
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.style.height = `${height}px`;
    svg.replaceChildren(...svg.querySelectorAll(":scope > title, :scope > desc"));
    const place = (from, to, low, high) => (value) => low + ((value - from) / (to - from)) * (high - low);
    const across = place(x.from, x.to, left, width - right);
    const up = place(y.from, y.to, height - bottom, top);
    const draw = (tag, attributes, text) => svg.appendChild(element(tag, attributes, text));
    for (const tick of x.ticks) {
      draw("path", { class: "grid", d: `M${across(tick)} ${top}V${height - bottom}` });
      draw("text", { class: "tick", x: across(tick), y: height - bottom + 16, "text-anchor": "middle" }, number(tick, x.digits || 0));
    }
    for (const tick of y.ticks) {
      draw("path", { class: "grid", d: `M${left} ${up(tick)}H${width - right}` });
      draw("text", { class: "tick", x: left - 6, y: up(tick) + 4, "text-anchor": "end" }, number(tick, y.digits || 0));
    }
    draw("text", { class: "axis", x: width - right, y: height - 8, "text-anchor": "end" }, x.label);
    draw("text", { class: "axis", x: 2, y: 14 }, y.label);
    const name = `${svg.id}-clip`;
    const inside = { x: left, y: top, width: width - left - right, height: height - top - bottom };
    draw("clipPath", { id: name }).appendChild(element("rect", inside));
    const inner = draw("g");
    const add = (tag, { clip, ...attributes }, text) => inner.appendChild(element(tag, clip ? { ...attributes, "clip-path": `url(#${name})` } : attributes, text));
    return { inner, at: { x: across, y: up, inside, width, add } };
  }

  // A picture's width as it was last seen: to ask the browser would lay out the page for each drawing.
  const widths = new Map();
  const widthOf = (svg) => widths.get(svg) || svg.clientWidth;

  // Draws now, and again whenever the picture's width changes.
  function drawn(svg, draw) {
    const look = () => {
      if (!svg.clientWidth || svg.clientWidth === widths.get(svg)) return;
      widths.set(svg, svg.clientWidth);
      draw();
    };
    new ResizeObserver(look).observe(svg);
    look();
  }

  // A table that is wider than its frame says so.
  document.addEventListener("DOMContentLoaded", () => {
    const look = new ResizeObserver((seen) => {
      for (const { target } of seen) {
        const box = target.closest(".scrolls");
        box.classList.toggle("cut", box.scrollWidth > box.clientWidth + 2);
      }
    });
    for (const box of document.querySelectorAll(".scrolls")) [box, box.firstElementChild].forEach((part) => look.observe(part));
  });

  // Round numbers that span what is given, with room for lines that end at the border.
  function range(low, high, parts = 4) {
    const rough = Math.max(high - low, 1e-6) / parts;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= rough * 0.999);
    const from = step * Math.floor(low / step + 1e-9);
    const to = step * Math.ceil(high / step - 1e-9);
    const ticks = [];
    for (let k = 0; k <= Math.round((to - from) / step); k++) ticks.push(from + k * step);
    return { from, to, ticks, digits: Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)) };
  }

  // Heights of labels beside lines, moved apart where they would touch; the order stays.
  function apart(heights, gap = 14) {
    const order = heights.map((y, i) => [y, i]).sort((a, b) => a[0] - b[0]);
    for (let k = 1; k < order.length; k++) order[k][0] = Math.max(order[k][0], order[k - 1][0] + gap);
    const shift = order.length ? Math.max(0, (order[order.length - 1][0] - Math.max(...heights)) / 2) : 0;
    const out = [];
    for (const [y, i] of order) out[i] = y - shift;
    return out;
  }

  // ---------------------------------------------------------------- controls
  // <label for=ID>…</label><input type=range id=ID><output for=ID>: over a list of values, or of
  // numbers as they are. Its value is read with get(); changed(value) is called when it moves.
  function slider(id, { values, words, start, changed }) {
    const input = document.getElementById(id);
    const told = document.querySelector(`output[for="${id}"]`);
    if (values) {
      Object.assign(input, { min: 0, max: values.length - 1, step: 1 });
      input.value = values.indexOf(start);
    }
    const get = () => (values ? values[Number(input.value)] : Number(input.value));
    const show = () => {
      told.textContent = words(get());
      input.setAttribute("aria-valuetext", words(get()));
    };
    input.addEventListener("input", () => {
      show();
      changed(get());
    });
    show();
    return {
      get,
      set(value) {
        input.value = values ? values.indexOf(value) : value;
        show();
      },
    };
  }

  // Fills a <select> with [value, words].
  function choices(id, rows, start, changed) {
    const select = document.getElementById(id);
    select.replaceChildren(...rows.map(([value, words]) => new Option(words, value, false, value === start)));
    select.addEventListener("change", () => changed(select.value));
    return { get: () => select.value, set: (value) => (select.value = value) };
  }

  // Says a sentence to screen readers, once nothing has moved for a moment.
  let waits;
  function say(sentence) {
    clearTimeout(waits);
    waits = setTimeout(() => {
      const place = document.getElementById("status");
      if (place.textContent !== sentence) place.textContent = sentence;
    }, 600);
  }

  // How long the script worked for a move of a control, in milliseconds; tests read it.
  const times = [];
  function timed(work) {
    const before = performance.now();
    work();
    times.push(performance.now() - before);
    if (times.length > 500) times.shift();
  }

  return { number, signed, push, percent, equation, node, put, element, move, path, frame, widthOf, drawn, range, apart, slider, choices, say, timed, times, still };
})();
