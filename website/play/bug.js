// The page "Which bug?": recorded runs, evidence that costs points, and a name to be found.
(function () {
  "use strict";
  const { number, node, path, frame, drawn, range, slider, say, timed } = DPO.page;
  const $ = (id) => document.getElementById(id);
  const CHAPTER = "https://dpo-from-scratch.github.io/dpo-from-scratch/22_find_the_bug.html";
  const [WORTH, WRONG, EVERY] = [10, 2, 4]; // points of a case, price of a wrong name, steps between two points of a curve
  const LN2 = Math.LN2;

  // ---------------------------------------------------------------- causes
  const [TOKENS, REFERENCE, SUMS] = ["Tokens and masks", "The reference", "Sums, steps and precision"];
  // cause -> [section of chapter 22, what gives it away]
  const CAUSES = {
    healthy: ["", "Noise, spikes on hard batches, a chosen reward below zero: none of that is a fault. A healthy run starts at ln 2 with rewards of 0, its log-probabilities are those of whole texts, one end is scored per response, and neither doctor calls anything a problem."],
    "prompt not masked": [TOKENS, "Loss and margin are those of the script as it stands: the prompt is in both halves of a pair, and cancels. Log-probabilities three times too large give it away, and the counter: all tokens are scored. In DPO it does no harm; with a loss that looks at one response at a time it would."],
    "end of text not scored": [TOKENS, "No curve is off by much. The counter says it: no end is scored. So does the pair: the texts break off before their end."],
    "chosen and rejected swapped": [TOKENS, "Fine curves, a terrible model: loss and margin say how well the model agrees with the labels, and the labels stand on their heads. Only a pair, read as the loss reads it, shows that the better text counts as rejected."],
    "end of text doubled": [TOKENS, "A large gradient at first and a somewhat higher loss: the model is asked for a second end, which it has never seen. The counter says two ends per response."],
    "response truncated": [TOKENS, "A margin a little small, and the counter: a third of the responses have an end. The pair breaks off in the middle."],
    "left padding without positions": [TOKENS, "A noisy loss and log-probabilities twice too large, though the right tokens are scored. Every padded text is read at the wrong positions. Scored alone, the same text has another score: that is the probe."],
    "padding scored": [TOKENS, "More than all tokens are scored, says the counter, and the pair shows which: the padding behind the text counts too. The doctor that reads only the log takes it for an unmasked prompt; the experiment names it."],
    "reference is the policy": [REFERENCE, "The loss is ln 2 for ever while the gradient is not 0: policy and reference are one model, so nothing holds it, and it runs away."],
    "reference moves": [REFERENCE, "A margin that falls back to exactly 0 at regular steps: the reference is made equal to the policy again and again, and then there is no anchor."],
    "dropout on": [REFERENCE, "The first row: a loss well above ln 2 and rewards that are not 0. The policy is scored with a tenth of its activations off, the reference with all of them."],
    "beta on policy only": [REFERENCE, "The first row: the margin is exactly 0, and the loss is not ln 2. So the loss is made of something else than this margin: β stands before the policy's half only, and the reference counts too much. The doctor that reads only the log takes the rise that follows for too large a step; the experiment names it."],
    "labels not shifted": [SUMS, "A log-probability of some −13 nats a token, worse than a blind guess: each token is scored by the model's opinion of it after itself."],
    "mean for sum": [SUMS, "A log-probability near −1: of one token, not of a text. The margin stays small, and β holds twenty times less than it seems to."],
    "beta is zero": [SUMS, "The loss is ln 2 for ever and the gradient exactly 0: nothing is trained. Beside it, a reference that is the policy has the same loss and a gradient."],
    "learning rate too high": [SUMS, "A loss of several nats within twenty steps. This one needs no evidence."],
    "learning rate far too low": [SUMS, "Everything is as it should be, and nothing moves: a margin of about a thousandth at the end of the run, beside a gradient of healthy size. The experiments find nothing, since ten steps tell too little; the log does."],
    "log-softmax in bf16": [SUMS, "One number: a first loss of 0.69141, which is ln 2 rounded to 8 bits. All else is a healthy curve."],
    "padding counted as rows": [SUMS, "The first loss is twice ln 2, while the margin is 0: a loss of ln 2 for each row of padding was added. Compare a loss with its own margin. The training is that of the script as it stands: only what is logged is wrong."],
    "accumulation not divided": [SUMS, "The first loss is four times ln 2, while the margin is 0: the parts of a batch were added and not divided by their number. It costs nothing here, since the gradient is clipped and Adam divides by its size."],
    "no zero grad": [SUMS, "No curve tells: what is left of earlier gradients is clipped at every step and stays small, and by chance this run even earns more than the script as it stands. The experiment finds it, since it looks at the gradients of single steps."],
  };
  const nameOf = (run) => run.bug || "healthy";

  // ---------------------------------------------------------------- evidence
  // name -> [words, price, curves in it]
  const EVIDENCE = {
    margins: ["Margin and rewards", 1],
    logps: ["Log-probabilities, gradient", 1],
    twin: ["The script as it stands, same pairs", 1],
    counters: ["Counters of ends and tokens", 1],
    pair: ["A pair, as the score reads it", 1],
    log: ["The doctor reads the log", 1],
    probes: ["The doctor's experiments", 3],
  };
  // picture -> [label of the axis, its lines, the evidence it takes, least height, value to be in it]
  const PANELS = {
    loss: ["loss, mean of the batch", ["loss"], null, 0.1, LN2],
    accuracy: ["accuracy: share of pairs in order", ["accuracy"], null, 1, 0],
    margin: ["margin, a reward", ["margin"], "margins", 0.1, 0],
    rewards: ["rewards: chosen, rejected (dashed)", ["chosen_reward", "rejected_reward"], "margins", 0.1, 0],
    logps: ["log-probability, nats: chosen, rejected (dashed)", ["chosen_logp", "rejected_logp"], "logps", 1, null],
    norm: ["norm of the gradient", ["grad_norm"], "logps", 0.1, 0],
  };
  const WORDS = { loss: "loss", accuracy: "accuracy", margin: "margin", chosen_reward: "chosen reward", rejected_reward: "rejected reward", chosen_logp: "chosen log-probability", rejected_logp: "rejected log-probability", grad_norm: "norm of the gradient" };

  // ---------------------------------------------------------------- state
  let [round, place] = [65, 0]; // an order that begins with a loud case
  let order, run, asked, wrong, done, past;
  const shows = (evidence) => evidence === null || asked.includes(evidence);
  const plural = (n) => `${n} point${n === 1 ? "" : "s"}`;
  const points = () => Math.max(WORTH - WRONG * wrong.length - asked.reduce((sum, name) => sum + EVIDENCE[name][1], 0), 0);
  const twin = () => DPO.twins[run.seed];

  function begin() {
    order = DPO.shuffled(DPO.cases.length, round);
    [place, past] = [0, []];
    open();
  }

  function open() {
    run = DPO.cases[order[place]];
    [asked, wrong, done] = [[], [], false];
    $("answer").hidden = true;
    $("name").value = "";
    $("verdict").textContent = "";
    stepper.set(0);
    showAll();
  }

  function ask(evidence) {
    if (asked.includes(evidence)) return;
    asked.push(evidence);
    showAll();
    say(`${EVIDENCE[evidence][0]}: ${spoken(evidence)} ${scoreWords()}`);
  }

  function guess() {
    const name = $("name").value;
    if (done || !name) return ($("verdict").textContent = done ? "" : "Choose a name first.");
    if (name === nameOf(run)) return finish(points(), "Yes");
    if (!wrong.includes(name)) wrong.push(name);
    $("verdict").textContent = `It isn't “${name}”. Minus two.`;
    showScore();
    say(`${$("verdict").textContent} ${scoreWords()}`);
  }

  function finish(got, begins) {
    done = true;
    past.push({ run, got, asked: asked.length, wrong: wrong.length });
    $("verdict").textContent = "";
    showAnswer(got, begins);
    showAll();
    $("answer").focus();
  }

  // ---------------------------------------------------------------- pictures
  const stepOf = (k) => k * EVERY + 1;
  const marks = []; // [scale, upright line] of each picture, for the chosen step

  function drawPanel(name) {
    const [label, curves, evidence, least, includes] = PANELS[name];
    const figure = $(name).closest("figure");
    figure.hidden = !shows(evidence);
    if (figure.hidden) return;
    const more = shows("twin") ? curves.flatMap((curve) => twin().curves[curve]) : [];
    const all = [...curves.flatMap((curve) => run.curves[curve]), ...more, ...(includes === null ? [] : [includes])];
    let [low, high] = [Math.min(...all), Math.max(...all)];
    if (high - low < least) [low, high] = [low - (low === 0 ? 0 : least / 2), high + least / 2];
    const at = frame($(name), {
      x: { from: 1, to: 128, ticks: [1, 32, 64, 96, 128], label: "step" },
      y: { ...(name === "accuracy" ? { from: 0, to: 1, ticks: [0, 0.25, 0.5, 0.75, 1], digits: 2 } : range(low, high)), label },
      height: 210,
      right: 40,
    });
    if (name === "loss") {
      at.add("path", { class: "optimum thin", d: `M${at.inside.x} ${at.y(LN2)}h${at.inside.width}` });
      at.add("text", { class: "optimum halo", x: at.inside.x + at.inside.width + 6, y: at.y(LN2) + 4 }, "ln 2");
    }
    const draw = (values, className) => at.add("path", { class: className, d: path(values.map((y, k) => [at.x(stepOf(k)), at.y(y)])) });
    if (shows("twin")) curves.forEach((curve, i) => draw(twin().curves[curve], i ? "reference line dashed" : "reference line"));
    curves.forEach((curve, i) => draw(run.curves[curve], curves.length === 1 ? "policy" : i ? "rejected" : "chosen"));
    marks.push([at, at.add("path", { class: "mark" })]);
  }

  function drawPanels() {
    marks.length = 0;
    Object.keys(PANELS).forEach(drawPanel);
    showStep();
  }

  // The chosen step: an upright line in each picture, its values below.
  function showStep() {
    const k = stepper.get();
    for (const [at, mark] of marks) mark.setAttribute("d", `M${at.x(stepOf(k))} ${at.inside.y}v${at.inside.height}`);
    for (const [name, [, curves, evidence]] of Object.entries(PANELS))
      if (shows(evidence)) $(`told-${name}`).textContent = `At step ${stepOf(k)}: ${curves.map((curve) => valueWords(curve, k)).join("; ")}.`;
  }
  const valueWords = (curve, k) => {
    const beside = shows("twin") ? ` (grey, as it stands: ${precise(curve, twin().curves[curve][k])})` : "";
    return `${WORDS[curve]} ${precise(curve, run.curves[curve][k])}${beside}`;
  };

  // Losses in five digits, since the fifth may be the evidence.
  const precise = (curve, x) => number(x, curve === "loss" ? 5 : Math.abs(x) >= 100 ? 1 : 3);

  // ---------------------------------------------------------------- words and tables
  function showNumbers() {
    const body = $("numbers").tBodies[0];
    body.replaceChildren();
    for (const [, curves, evidence] of Object.values(PANELS))
      for (const curve of shows(evidence) ? curves : []) {
        const row = body.insertRow();
        row.append(node("th", { scope: "row" }, WORDS[curve]));
        const { first, least, most, last } = DPO.summary(run.curves[curve]);
        for (const x of [first, least, most, last]) row.insertCell().textContent = precise(curve, x);
        row.insertCell().textContent = shows("twin") ? precise(curve, DPO.summary(twin().curves[curve]).last) : "not asked";
      }
  }

  const box = (heading, paragraphs) => node("div", {}, node("h3", {}, heading), ...paragraphs.map((text) => node("p", {}, text)));

  const counters = () => `${number(DPO.mean(run.curves.eos))} ends of text are scored per response, and ${number(100 * DPO.mean(run.curves.scored), 0)} % of all tokens, padding aside.`;

  // The tokens that a score counts, the first and the last few, with what one of them counts.
  function pairWords() {
    const { prompt, texts, weights, shifted } = run.pair;
    const sides = ["chosen", "rejected"].map((side, i) => {
      const weight = weights[i] === 1 ? "once" : `${number(weights[i], 3)} times`;
      return `Scored as ${side}: “${texts[i].join(" ")}” (${texts[i].length} tokens, each counts ${weight}).`;
    });
    return [`The prompt is “${prompt}”.`, ...sides, shifted ? "Each token is scored where the one before it stands." : "Each token is scored where it stands itself."];
  }

  function diagnosis(found, nothing) {
    if (!found.length) return [nothing];
    return found.map(({ level, sure, code, seen }) => `${level === "problem" ? "A problem" : "A note"}, ${sure}: ${code.replaceAll("_", " ")}${seen ? `; ${seen}` : ""}.`);
  }

  const TEXTS = {
    counters: () => [counters()],
    pair: pairWords,
    log: () => diagnosis(run.log, "It finds nothing in this log."),
    probes: () => diagnosis(run.probes, "Nothing: no experiment came out otherwise than it should."),
  };
  const spoken = (evidence) => (TEXTS[evidence] ? TEXTS[evidence]().join(" ") : "the pictures show it now.");

  function showFound() {
    const there = asked.filter((name) => TEXTS[name]);
    $("found").replaceChildren(...there.map((name) => box(EVIDENCE[name][0], TEXTS[name]())));
  }

  const total = () => past.reduce((sum, { got }) => sum + got, 0);
  function scoreWords() {
    const so = past.length ? `${total()} of ${WORTH * past.length} points so far.` : "";
    return `Case ${place + 1} of ${order.length}. ${done ? "" : `It is worth ${plural(points())} now. `}${so}`;
  }
  const showScore = () => ($("score").textContent = scoreWords());

  function showAsks() {
    for (const button of $("asks").children) {
      const there = asked.includes(button.dataset.evidence);
      button.setAttribute("aria-pressed", there);
      button.lastChild.textContent = there ? "shown" : done ? "free now" : `−${EVIDENCE[button.dataset.evidence][1]}`;
    }
  }

  function showAnswer(got, begins) {
    const [section, words] = CAUSES[nameOf(run)];
    const setting = run.bug ? "" : run.called === "as it stands" ? ", the script as it stands" : `, with another setting: ${run.called.replace("beta", "β")}`;
    $("it-was").textContent = `${begins}: ${nameOf(run)}${setting}. ${plural(got)}.`;
    $("why").textContent = words;
    const lost = twin().reward - run.reward;
    const beside = run.called === "as it stands" ? "" : ` The script as it stands, on the same pairs, earns ${number(twin().reward)}${run.bug ? `: ${lost > 0.005 ? `the fault costs ${number(lost)}` : "nothing is lost"}` : ""}.`;
    $("cost").textContent = `The trained model earns a true reward of ${number(run.reward)} at a KL of ${number(run.kl)} nats.${beside}`;
    const part = section ? `#${section.toLowerCase().replaceAll(",", "").replaceAll(" ", "-")}` : "";
    $("cost").append(" More in ", node("a", { href: CHAPTER + part }, section ? `chapter 22, “${section}”` : "chapter 22"), ".");
    const line = (sign, text) => node("pre", {}, text.replace(/\n$/, "").split("\n").map((part) => `${sign} ${part.trim()}`).join("\n"));
    $("patch").replaceChildren(...run.patch.flatMap(([old, made]) => [line("−", old), line("+", made || "(nothing)")]));
    $("next").textContent = place + 1 < order.length ? "Next case" : "Begin again";
    $("answer").hidden = false;
  }

  function showPast() {
    const body = $("cases").tBodies[0];
    body.replaceChildren();
    past.forEach(({ run: was, got, asked: pieces, wrong: names }, k) => {
      const row = body.insertRow();
      for (const words of [k + 1, nameOf(was), pieces, names, got]) row.insertCell().textContent = words;
    });
    for (const [id, hidden] of [["cases-box", !past.length], ["no-cases", past.length > 0]]) $(id).hidden = hidden;
  }

  function showAll() {
    showAsks();
    drawPanels();
    showNumbers();
    showFound();
    showScore();
    showPast();
  }

  // ---------------------------------------------------------------- begin
  for (const [name, [words, price]] of Object.entries(EVIDENCE)) {
    const button = node("button", { type: "button", id: `ask-${name}` }, `${words} `, node("span", { className: "price" }, price));
    button.dataset.evidence = name;
    button.addEventListener("click", () => timed(() => ask(name)));
    $("asks").append(button);
  }
  const group = (label, names) => node("optgroup", { label }, ...names.map((name) => new Option(name, name)));
  const ofSection = (section) => Object.keys(CAUSES).filter((name) => CAUSES[name][0] === section && name !== "healthy");
  $("name").append(new Option("choose a name", ""), new Option("healthy", "healthy"), ...[TOKENS, REFERENCE, SUMS].map((section) => group(section, ofSection(section))));
  const stepper = slider("step", {
    values: Array.from({ length: DPO.cases[0].curves.loss.length }, (_, k) => k),
    words: (k) => `step ${stepOf(k)}`,
    start: 0,
    changed: () => timed(showStep),
  });
  $("guess").addEventListener("click", guess);
  $("tell").addEventListener("click", () => done || finish(0, "It was"));
  $("next").addEventListener("click", () => {
    if (place + 1 < order.length) place += 1;
    else return again();
    open();
    $("score").scrollIntoView({ block: "start" });
    $("asks").firstChild.focus({ preventScroll: true });
    say(scoreWords());
  });
  function again() {
    round += 1;
    begin();
    $("asks").firstChild.focus();
  }
  $("again").addEventListener("click", again);
  begin();
  for (const name of Object.keys(PANELS)) drawn($(name), drawPanels);
})();
