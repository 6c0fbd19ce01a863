// The page "Read a token": a pair token by token, masks right and wrong, and what each makes of DPO's loss.
(function () {
  "use strict";
  const { number, signed, percent, node, slider, choices, say, timed } = DPO.page;
  const $ = (id) => document.getElementById(id);
  const SIDES = ["chosen", "rejected"];
  const BETAS = [0.1, 0.2, 0.3, 0.6, 1, 2];
  // mask -> [words, its name in dpo.js, what else the score does]
  const MASKS = {
    right: ["the response and its end", "right", {}],
    prompt: ["the prompt too", "prompt", {}],
    end: ["the response, its end forgotten", "end", {}],
    late: ["one token too late", "late", {}],
    early: ["one token too early", "early", {}],
    padding: ["the padding too", "padding", {}],
    itself: ["as it should, but the shift is forgotten", "right", { unshifted: true }],
    mean: ["as it should, but a mean, no sum", "right", { average: true }],
    own: ["my own choice", "right", {}],
  };
  const SHOWN = [
    ["policy", "log-probability, trained policy"],
    ["reference", "log-probability, reference"],
    ["ratio", "log-ratio, policy minus reference"],
  ];

  // ---------------------------------------------------------------- state
  const state = { pair: 0, mask: "right", shown: "policy", beta: 0.6 };
  let masks = {}; // of both sides, a switch for each token
  let reading = ["chosen", 0, 0]; // the token that is read: side, its number, place
  const at = { chosen: 0, rejected: 0 }; // the token of each strip that the keys have reached
  const pair = () => DPO.tokenPairs[state.pair];
  const unshifted = () => Boolean(MASKS[state.mask][2].unshifted);

  const rows = (model) => Object.fromEntries(SIDES.map((side, i) => [side, { logps: pair()[model].logps[i], itself: pair()[model].itself[i] }]));
  const maskFor = (kind) => Object.fromEntries(SIDES.map((side, i) => [side, DPO.maskOf(kind, pair().prompt_tokens, pair().real[i], pair().tokens[i].length)]));
  const scored = (kinds, how) => DPO.scorePair(rows("policy"), rows("reference"), kinds, state.beta, how);

  // What one model makes of a token, by the score as it is now.
  function valueOf(model, i, t) {
    if (unshifted()) return pair()[model].itself[i][t];
    return t ? pair()[model].logps[i][t - 1] : NaN;
  }
  const shownValue = (i, t) => (state.shown === "ratio" ? valueOf("policy", i, t) - valueOf("reference", i, t) : valueOf(state.shown, i, t));

  // ---------------------------------------------------------------- the strips
  const kindOf = (i, t) => (t < pair().prompt_tokens ? "prompt" : t === pair().real[i] - 1 ? "end" : t >= pair().real[i] ? "padding" : "response");

  // A new pair: its tokens as buttons, of which one in each strip can be reached with Tab.
  function makeStrips() {
    SIDES.forEach((side, i) => {
      at[side] = pair().prompt_tokens;
      const made = pair().tokens[i].map((token, t) => {
        const button = node("button", { type: "button", className: `token ${kindOf(i, t)}` }, node("span", {}, token), node("small", {}));
        button.addEventListener("click", () => timed(() => toggle(side, i, t)));
        button.addEventListener("focus", () => timed(() => read(side, i, t)));
        button.addEventListener("pointerenter", () => showReading(side, i, t));
        return button;
      });
      made.splice(pair().prompt_tokens, 0, node("span", { className: "seam", title: "the seam" }));
      $(side).replaceChildren(...made);
    });
    $("chosen").dataset.pair = state.pair;
  }

  const buttons = (side) => $(side).querySelectorAll("button");

  function showStrips() {
    $("legend").textContent = state.shown === "ratio" ? "The longer the bar under a token that counts, the more its probability has changed; full from 1.5 nats, up or down." : "The longer the bar under a token that counts, the less likely the token; full from −5 nats.";
    SIDES.forEach((side, i) =>
      buttons(side).forEach((button, t) => {
        const on = masks[side][t];
        const value = shownValue(i, t);
        const words = Number.isNaN(value) ? "" : state.shown === "ratio" ? signed(value) : number(value);
        button.lastChild.textContent = words || "–";
        button.setAttribute("aria-pressed", on);
        button.setAttribute("aria-label", `${pair().tokens[i][t]}, ${kindOf(i, t)}, ${words ? `${words} nats` : "read first, after nothing"}`);
        button.tabIndex = t === at[side] ? 0 : -1;
        const strength = Math.min(Math.abs(Number.isNaN(value) ? 0 : value) / (state.shown === "ratio" ? 1.5 : 5), 1);
        button.style.setProperty("--share", `${Math.round(100 * strength)}%`);
        button.classList.toggle("down", value < 0);
      })
    );
  }

  function toggle(side, i, t) {
    if (!t) return showReading(side, i, t); // nothing stands before it that could predict it
    masks[side][t] = !masks[side][t];
    if (state.mask !== "own") {
      state.mask = "own";
      maskChoice.set("own");
    }
    reading = [side, i, t];
    show();
    say(`${pair().tokens[i][t]} ${masks[side][t] ? "counts" : "doesn't count"}. ${$("told").textContent}`);
  }

  function press(event, side) {
    const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -1e6, End: 1e6 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const all = buttons(side);
    const next = Math.min(Math.max(at[side] + steps[event.key], 0), all.length - 1);
    all[next].focus();
  }

  // A token has the focus.
  function read(side, i, t) {
    buttons(side)[at[side]].tabIndex = -1;
    at[side] = t;
    buttons(side)[t].tabIndex = 0;
    showReading(side, i, t);
  }

  // ---------------------------------------------------------------- words and tables
  const likeliest = (model, i, t) => pair()[model].likeliest[i][t - 1].map((word, k) => `${word} ${percent(Math.exp(pair()[model].their[i][t - 1][k]))}`).join(", ");

  function showReading(side, i, t) {
    reading = [side, i, t];
    const token = pair().tokens[i][t];
    const words = [`“${token}”, token ${t + 1} of the ${side} text, ${{ prompt: "in the prompt", response: "in the response", end: "its end", padding: "padding" }[kindOf(i, t)]}, ${masks[side][t] ? "counts" : "doesn't count"}.`];
    if (!t) words.push("Nothing stands before it, so nothing predicts it.");
    else {
      const [ours, theirs] = ["policy", "reference"].map((model) => pair()[model].logps[i][t - 1]);
      words.push(`After “${pair().tokens[i][t - 1]}” the reference writes it ${percent(Math.exp(theirs))} of the time, ${number(theirs)} nats, and the trained policy ${percent(Math.exp(ours))}, ${number(ours)}: a log-ratio of ${signed(ours - theirs)}.`);
      words.push(`The reference's favourites there: ${likeliest("reference", i, t)}. The policy's: ${likeliest("policy", i, t)}.`);
    }
    $("reading").textContent = words.join(" ");
  }

  const ROWS = [
    ["tokens that count", (_, kinds) => SIDES.map((side) => kinds[side].filter(Boolean).length)],
    ["policy", ({ policy }) => policy],
    ["reference", ({ reference }) => reference],
    ["log-ratio", ({ ratios }) => ratios],
    ["gap", ({ gap }) => [gap]],
    ["margin, β × gap", ({ margin }) => [margin]],
    ["loss of the pair", ({ loss }) => [loss], 3],
    ["policy's mean over tokens", (_, kinds, how) => SIDES.map((side) => DPO.scoreRow(rows("policy")[side], kinds[side], { ...how, average: true }))],
  ];

  function showSums(right, now, how) {
    const body = $("sums").tBodies[0];
    body.replaceChildren();
    for (const [words, value, digits = 2] of ROWS) {
      const row = body.insertRow();
      row.append(node("th", { scope: "row" }, words));
      for (const [result, kinds, also] of [[right, maskFor("right"), {}], [now, masks, how]]) {
        const values = value(result, kinds, also);
        for (const x of values) {
          const cell = row.insertCell();
          cell.textContent = Number.isInteger(x) && digits === 2 && words.startsWith("tokens") ? x : Number.isFinite(x) ? number(x, digits) : "–";
          if (values.length === 1) cell.colSpan = 2;
        }
      }
    }
  }

  // Where the mask differs from the right one: the first thing to look at, since no sum shows it.
  function wrongTokens() {
    const should = maskFor("right");
    const told = (side, i, counts) => {
      const found = pair().tokens[i].filter((_, t) => masks[side][t] !== should[side][t] && masks[side][t] === counts);
      return found.length > 2 ? `${found.length} tokens` : found.map((token) => `“${token}”`).join(" and ");
    };
    const sides = SIDES.flatMap((side, i) => {
      const [more, less] = [told(side, i, true), told(side, i, false)];
      const parts = [more && `${more} ${more.includes(" ") ? "count" : "counts"} and shouldn't`, less && `${less} should count and ${less.includes(" ") ? "don't" : "doesn't"}`].filter(Boolean);
      return parts.length ? [`In the ${side} text ${parts.join(", ")}.`] : [];
    });
    return sides.length ? `Look at the tokens that count. ${sides.join(" ")} ` : "";
  }

  function sentence(right, now) {
    if (state.mask === "right") return `The chosen text's log-ratio is ${signed(now.ratios[0])}, the rejected one's ${signed(now.ratios[1])}: ${now.gap > 0 ? "the pair is in order" : "the pair is the wrong way round"}, with a gap of ${number(now.gap)} nats and a loss of ${number(now.loss, 3)}.`;
    const moved = SIDES.map((_, i) => now.policy[i] - right.policy[i]);
    const shift = `With this mask the policy's ${state.mask === "mean" ? "score" : "log-probability"} of the chosen text moves by ${signed(moved[0])} nats, that of the rejected one by ${signed(moved[1])}.`;
    const same = Math.abs(now.gap - right.gap) < 0.005;
    return `${wrongTokens()}${shift} The gap ${same ? `stays ${number(right.gap)}, since both log-ratios have moved by ${signed(now.ratios[0] - right.ratios[0])}, and the loss stays ${number(right.loss, 3)}` : `becomes ${number(now.gap)} instead of ${number(right.gap)}, and the loss ${number(now.loss, 3)} instead of ${number(right.loss, 3)}`}.`;
  }

  function show() {
    const how = MASKS[state.mask][2];
    const [right, now] = [scored(maskFor("right"), {}), scored(masks, how)];
    $("told").textContent = sentence(right, now);
    showStrips();
    showReading(...reading);
    showSums(right, now, how);
  }

  // ---------------------------------------------------------------- the seam
  const pieces = (tokens) => tokens.map((token) => token.replaceAll(" ", "·")).join("|");

  function showSeam(number) {
    const { apart, whole, scored: counted } = DPO.seams[number];
    const same = apart.flat().join("|") === whole.join("|");
    const lost = counted.join("") === apart[1].join("") ? "exactly the response" : `only “${counted.join("").trim()}”`;
    const lines = [`Apart: ${pieces(apart[0])}  and  ${pieces(apart[1])}`, `As one text: ${same ? "the same" : pieces(whole)}`, `A trainer that tokenises the whole text and counts off as many tokens as the prompt has alone scores ${lost}.`];
    const why = ["This is the clean one.", "The tokens agree, but the text has lost a space: “plot?The”.", "The space jumps over the seam and joins the response's first word.", "A new token swallows the end of the prompt."][number];
    $("seams").replaceChildren(...[...lines, why].map((text) => node("p", {}, text)));
  }

  // ---------------------------------------------------------------- begin
  function choosePair(value) {
    state.pair = Number(value);
    masks = maskFor(MASKS[state.mask][1]);
    makeStrips();
    reading = ["chosen", 0, at.chosen];
    show();
    say($("told").textContent);
  }
  choices("pair", DPO.tokenPairs.map(({ prompt }, k) => [String(k), `${k + 1}: ${prompt}`]), "0", choosePair);
  const maskChoice = choices("mask", Object.entries(MASKS).map(([name, [words]]) => [name, words]), "right", (name) => {
    state.mask = name;
    if (name !== "own") masks = maskFor(MASKS[name][1]);
    show();
    say($("told").textContent);
  });
  choices("shown", SHOWN, state.shown, (name) => {
    state.shown = name;
    show();
  });
  slider("beta", {
    values: BETAS,
    start: state.beta,
    words: String,
    changed: (value) =>
      timed(() => {
        state.beta = value;
        show();
      }),
  });
  for (const side of SIDES) $(side).addEventListener("keydown", (event) => press(event, side));
  choices("seam", DPO.seams.map(({ where }, k) => [String(k), where]), "0", (k) => showSeam(Number(k)));
  choosePair(0);
  showSeam(0);
})();
