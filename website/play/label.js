// The page "You are the labeller": choices, the scores that fit them, and DPO on the same choices.
(function () {
  "use strict";
  const { number, percent, node, frame, widthOf, drawn, range, slider, choices, say, timed } = DPO.page;
  const $ = (id) => document.getElementById(id);
  const firstTwo = (question) => Object.fromEntries(Object.entries(question).map(([key, value]) => [key, Array.isArray(value) ? value.slice(1, 3) : value]));
  // What is labelled: set -> [words, questions, pairs in their order]
  const SETS = {
    chapter: ["chapter 02's twenty", DPO.questions, DPO.asked],
    class: ["the workshop's thirty, for a class", DPO.classroom.questions, DPO.classroom.asked],
    one: ["one pair, eight times", [firstTwo(DPO.questions[0])], Array.from({ length: 8 }, (_, k) => ({ question: 0, sides: [k % 2, 1 - (k % 2)] }))],
  };
  const [BURST, RATE, SHARE] = [100, 0.05, 0.1]; // steps of a press, learning rate, labels that cDPO takes to be turned round
  const LETTERS = "ABCDE";
  const PRIORS = [0, 0.05, 0.1, 0.25, 0.5, 1, 2];
  const BETAS = [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2];
  const LOSSES = {
    dpo: ["DPO", (beta) => ({ beta })],
    ipo: ["IPO, its τ is β", (beta) => ({ tau: beta })],
    cdpo: ["cDPO", (beta) => ({ beta, label_smoothing: SHARE })],
  };
  const REFERENCES = [
    ["equal", "each answer equally often"],
    ["grammar", "as the book's grammar does"],
  ];

  // ---------------------------------------------------------------- state
  let [, questions, asked] = SETS.chapter;
  const state = { set: "chapter", prior: 0.25, beta: 0.5, loss: "dpo", reference: "equal" };
  const made = []; // choices: {question, choice: [winner, loser], pair: its number on the class's sheet}
  let runs; // DPO on the choices of each question

  // The k-th pair that is asked: the chapter's twenty, then the same in orders of chance, sides too.
  function pairAt(k) {
    const again = Math.floor(k / asked.length);
    if (!again) return asked[k];
    const { question, sides, pair } = asked[DPO.shuffled(asked.length, again)[k % asked.length]];
    return { question, pair, sides: DPO.generator(k)() % 2 ? sides : [sides[1], sides[0]] };
  }

  const choicesOf = (q) => made.filter(({ question }) => question === q).map(({ choice }) => choice);
  const logRef = (q) => (state.reference === "equal" ? questions[q].texts.map(() => -Math.log(questions[q].texts.length)) : questions[q].logProbs);

  function startOver() {
    const options = LOSSES[state.loss][1](state.beta);
    runs = questions.map((_, q) => DPO.startTraining(logRef(q), choicesOf(q), state.loss, options, RATE));
  }

  // All that is shown of a question.
  function look(q) {
    const done = choicesOf(q);
    const wins = DPO.countWins(done, questions[q].texts.length);
    const compared = DPO.reaches(wins.map((row, i) => row.map((won, j) => won + wins[j][i] > 0))).flat().every(Boolean);
    const fit = done.length && (state.prior || compared) ? DPO.fitBradleyTerry(wins, state.prior) : null;
    const ref = DPO.logSoftmax(logRef(q));
    const policy = DPO.logSoftmax(runs[q].logits);
    const seen = { done, wins, compared, ref, policy, step: runs[q].step, implicit: DPO.implicitRewards(policy, ref, state.beta) };
    if (!fit) return seen;
    const about = DPO.centred(fit);
    return { ...seen, fit, ...about, best: DPO.gibbs(ref, about.scores, state.beta).logProbs };
  }
  const allPairs = (q) => new Set(choicesOf(q).map((pair) => [...pair].sort().join())).size === (questions[q].texts.length * (questions[q].texts.length - 1)) / 2;

  const shownTruth = (q) => allPairs(q) && (state.set !== "one" || made.length >= asked.length);

  // The two questions in the pictures: of more than two the last one labelled, and the next.
  function drawnQuestions() {
    if (questions.length < 3) return [0, 1];
    const first = Math.max(pairAt(made.length).question - 1, 0);
    return [first, first + 1];
  }

  // ---------------------------------------------------------------- choosing
  function choose(side) {
    const { question, sides, pair } = pairAt(made.length);
    made.push({ question, pair, choice: [sides[side], sides[1 - side]] });
    changed();
    say(`${progress()} ${["question", "choose-a", "choose-b"].map((id) => $(id).textContent).join(" ")}`);
  }

  function changed() {
    startOver();
    showPair();
    show();
  }

  function progress() {
    const opinions = questions.map((_, q) => DPO.secondOpinions(choicesOf(q)));
    const [again, same] = ["asked", "same"].map((key) => opinions.reduce((sum, found) => sum + found[key], 0));
    const self = again ? ` Of ${again} pair${again > 1 ? "s" : ""} that came again you chose ${same} as the first time.` : "";
    if (made.length < asked.length) return `${made.length} of ${asked.length} pairs are labelled.`;
    return `All ${asked.length} pairs are labelled. You can ${state.set === "one" ? "" : "save them, or "}go on: they come again.${self}`;
  }

  function showPair() {
    const { question, sides } = pairAt(made.length);
    $("question").textContent = questions[question].words;
    ["choose-a", "choose-b"].forEach((id, side) => {
      $(id).replaceChildren(node("b", {}, `${LETTERS[sides[side]]}: `), questions[question].pretty[sides[side]]);
    });
    $("progress").textContent = progress();
    $("rest").hidden = state.set !== "chapter" || made.length >= asked.length;
    $("who-box").hidden = state.set !== "class";
    $("save").hidden = state.set === "one";
    $("many").hidden = questions.length < 3;
    $("how-many").textContent = { chapter: "Label all twenty pairs, or let the book's labeller finish.", class: "Label all thirty pairs.", one: "Choose chapter 02's twenty pairs above and label them, or let the book's labeller finish." }[state.set];
  }

  // ---------------------------------------------------------------- pictures
  const ROW = 34;

  function draw(place) {
    const q = drawnQuestions()[place];
    $(`name-${place}`).parentElement.hidden = q >= questions.length;
    if (q >= questions.length) return;
    const svg = $(`scores-${place}`);
    $(`name-${place}`).textContent = questions[q].words;
    const seen = look(q);
    const truth = shownTruth(q) ? questions[q].rewards.map((r) => r - DPO.mean(questions[q].rewards)) : [];
    const all = [...truth, ...(seen.fit ? seen.scores.flatMap((s, i) => [s - seen.errors[i], s + seen.errors[i]]) : []), ...(seen.step ? seen.implicit : []), -2, 2];
    const reach = range(Math.min(...all), Math.max(...all));
    const names = questions[q].texts.length;
    const at = frame(svg, {
      x: { ...reach, label: "log-odds, about the mean" },
      y: { from: -0.5, to: names - 0.5, ticks: [], label: "answer" },
      height: names * ROW + 72,
      left: 30,
    });
    for (let i = 0; i < names; i++) {
      const y = at.y(names - 1 - i);
      at.add("text", { class: "axis", x: 8, y: y + 5 }, LETTERS[i]);
      if (seen.fit) {
        at.add("path", { class: "optimum", clip: true, d: `M${at.x(seen.scores[i] - seen.errors[i])} ${y}H${at.x(seen.scores[i] + seen.errors[i])}` });
        at.add("circle", { class: "optimum dot", cx: at.x(seen.scores[i]), cy: y, r: 5 });
      }
      if (seen.step) at.add("rect", { class: "policy dot", x: at.x(seen.implicit[i]) - 5, y: y + 6, width: 10, height: 10 });
      if (truth.length) {
        const x = at.x(truth[i]);
        at.add("path", { class: "truth", d: `M${x - 5} ${y - 13}l8 8m0 -8l-8 8` });
      }
    }
    $(`told-${place}`).textContent = sentences(q, seen);
  }

  // ---------------------------------------------------------------- words and tables
  const named = (indices) => indices.map((i) => LETTERS[i]).join(" over ");

  function sentences(q, { done, wins, compared, fit, scores, errors, step, implicit }) {
    if (!done.length) return "No choice yet.";
    const words = [`${done.length} choice${done.length > 1 ? "s" : ""}.`];
    if (fit) {
      const order = scores.map((_, i) => i).sort((a, b) => scores[b] - scores[a]);
      const [first, second] = order;
      const [lead, error] = [scores[first] - scores[second], DPO.standardError(fit, first, second)];
      words.push(`Highest score: ${LETTERS[first]}, ${number(scores[first])} ± ${number(errors[first])}. It is ${number(lead)} ± ${number(error)} above ${LETTERS[second]}.${lead < 2 * error ? " That could be chance." : ""}`);
      const equal = scores.map(() => 1 / scores.length);
      words.push(`The ceiling, if these scores were true: ${percent(DPO.ceiling(equal, DPO.preferences(scores))[0])} of fresh choices.`);
    } else if (!compared) words.push("Without a prior there are no scores yet: some answers have not been compared with the others, not even by way of a third.");
    else words.push("No best scores exist: some answers won every comparison with the others, so the farther apart the scores, the likelier your choices. A prior would hold them.");
    const circles = DPO.circles(wins);
    if (circles.length) words.push(`In a circle: ${circles.map(([i, j, k]) => named([i, j, k, i])).join("; ")}. No scores can say that.`);
    words.push(`The best order of the ${{ 2: "two", 3: "three", 5: "five" }[questions[q].texts.length]} agrees with ${DPO.bestOrder(wins)} of ${done.length}.`);
    if (step) words.push(`After ${step} steps of ${LOSSES[state.loss][0].split(",")[0]} the implicit rewards span ${number(Math.max(...implicit) - Math.min(...implicit))}.`);
    return words.join(" ");
  }

  function showTable() {
    const body = $("table").tBodies[0];
    body.replaceChildren();
    questions.forEach((question, q) => {
      const { done, wins, fit, scores, errors, ref, policy, best, step, implicit } = look(q);
      const group = body.insertRow();
      group.className = "group";
      group.append(node("th", { colSpan: 9, scope: "rowgroup" }, question.words));
      question.pretty.forEach((text, i) => {
        const row = body.insertRow();
        row.append(node("th", { scope: "row" }, `${LETTERS[i]}: ${text}`));
        const games = done.filter((pair) => pair.includes(i)).length;
        const share = (logs) => percent(Math.exp(logs[i]));
        const cells = [`${DPO.dot(wins[i], wins[i].map(() => 1))} of ${games}`, fit ? number(scores[i]) : "–", fit ? number(errors[i]) : "–", share(ref), step ? share(policy) : "–", fit ? share(best) : "–", step ? number(implicit[i]) : "–", shownTruth(q) ? number(question.rewards[i]) : "–"];
        for (const words of cells) row.insertCell().textContent = words;
      });
    });
  }

  function show() {
    draw(0);
    draw(1);
    showTable();
  }

  // ---------------------------------------------------------------- the file
  function save() {
    if (!made.length) return ($("progress").textContent = "There is nothing to save yet: choose first.");
    const who = $("who").value.trim() || "somebody";
    const more = (pair) => (state.set === "class" ? { pair, who, book: "playground", sheet: DPO.classroom.sheet } : {});
    const rows = made.map(({ question, choice, pair }) => DPO.labelRow(questions[question], choice, more(pair)));
    const name = state.set === "class" ? `labels_${who.replace(/[^\p{L}\p{N}]+/gu, "_")}.jsonl` : "my_labels.jsonl";
    const address = URL.createObjectURL(new Blob([DPO.jsonLines(rows)], { type: "application/jsonl" }));
    node("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
    say(`${rows.length} labels saved as ${name}.`);
  }

  // ---------------------------------------------------------------- begin
  const setting = (name) => (value) =>
    timed(() => {
      state[name] = value;
      if (name !== "prior") startOver();
      show();
    });
  slider("prior", { values: PRIORS, start: state.prior, words: (x) => (x ? String(x) : "none"), changed: setting("prior") });
  slider("beta", { values: BETAS, start: state.beta, words: String, changed: setting("beta") });
  choices("loss", Object.entries(LOSSES).map(([name, [words]]) => [name, words]), state.loss, setting("loss"));
  choices("set", Object.entries(SETS).map(([name, [words]]) => [name, words]), state.set, (name) => {
    state.set = name;
    [, questions, asked] = SETS[name];
    made.length = 0;
    changed();
    say(progress());
  });
  choices("reference", REFERENCES, state.reference, setting("reference"));
  ["choose-a", "choose-b"].forEach((id, side) => $(id).addEventListener("click", () => timed(() => choose(side))));
  $("undo").addEventListener("click", () => {
    made.pop();
    changed();
    say(progress());
  });
  $("rest").addEventListener("click", () => {
    while (made.length < asked.length) {
      const { question, sides, shipped } = asked[made.length];
      made.push({ question, choice: [sides[shipped], sides[1 - shipped]] });
    }
    changed();
    $("choose-a").focus({ preventScroll: true });
    say(progress());
  });
  $("save").addEventListener("click", save);
  $("train").addEventListener("click", () => {
    for (const run of runs) for (let k = 0; k < BURST && run.pairs.length; k++) DPO.trainStep(run);
    show();
    say(`${$("told-0").textContent} ${$("told-1").textContent}`);
  });
  startOver();
  showPair();
  for (const place of [0, 1]) drawn($(`scores-${place}`), () => draw(place));
  showTable();
})();
