// The page "β and the frontier": settings, a run that is trained step by step, and its pictures.
(function () {
  "use strict";
  const { number, percent, equation, node, put, move, path, frame, widthOf, drawn, range, apart, slider, choices, say, timed, still } = DPO.page;
  const $ = (id) => document.getElementById(id);
  const { texts, rewards, lengths, logProbs, prompt } = DPO.world;
  const REF = DPO.logSoftmax(logProbs.house);
  const START = DPO.gibbs(REF, rewards, 1e9).meanReward;
  const FARTHEST = -REF[0]; // always the best reply
  const [BURST, A_FRAME, KEPT] = [300, 3, 9]; // steps of a press, steps between two pictures, runs in the list

  const BETAS = [0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5, 2, 3, 4];
  const COUNTS = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096];
  const RATES = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2];
  const AUTHORS = [
    ["house", "the reference itself"],
    ["gloomy", "another author, a gloomy one"],
  ];
  // loss -> [words, what its options are at the page's β and share of labels turned round, note]
  const withBeta = (beta) => ({ beta });
  const told = (beta, noise) => ({ beta, label_smoothing: noise });
  const LOSSES = {
    dpo: ["DPO", withBeta],
    cdpo: ["cDPO", told, "It is told the share of labels turned round; without any it is DPO."],
    robust_dpo: ["Robust DPO", told, "It is told the share of labels turned round; without any it is DPO."],
    ipo: ["IPO", (beta) => ({ tau: beta }), "Its τ is the β of this page."],
    hinge: ["Hinge", withBeta],
    exo: ["EXO", withBeta],
    nca: ["NCA", withBeta],
    apo_zero: ["APO-zero", withBeta],
    apo_down: ["APO-down", withBeta],
    sppo: ["SPPO", withBeta],
    bco_pair: ["BCO on pairs", (beta) => ({ beta, delta: 0 }), "Its δ is 0."],
    dpop: ["DPOP", (beta) => ({ beta, penalty: 5 }), "Its penalty is 5."],
    js: ["f-DPO, JS", (beta) => ({ beta, divergence: "js" })],
    chi_po: ["χPO", withBeta, "Its β prices another distance besides the KL, so compare it at a smaller β."],
    discopop: ["DiscoPOP", withBeta],
    aot: ["AOT", withBeta, "It sorts all pairs of a batch before it compares."],
    simpo: ["SimPO", () => ({ beta: 10 }), "It has no reference, and keeps a β of its own, 10."],
    orpo: ["ORPO", () => ({}), "It has no reference and no β."],
    cpo: ["CPO", withBeta, "It has no reference: nothing but the number of steps holds it."],
    sft: ["Fine-tuning on the chosen", () => ({}), "No preference loss: it only imitates the chosen replies, and has no β."],
  };
  // Is π* also what the loss would learn from endless pairs? Then a loss below π*'s own is chance.
  const sameOptimum = () => state.loss === "robust_dpo" || (!state.noise && ["dpo", "cdpo"].includes(state.loss));
  const inRegistry = (name) => (name === "js" ? "f_dpo" : name);

  // ---------------------------------------------------------------- state
  const state = { beta: 0.5, count: 512, noise: 0, author: "house", loss: "dpo", rate: 0.05, seed: 3 };
  let pairs, share, judged, run, curve, best, own, playing; // own: what is measured of the optimum itself
  const past = [];

  const options = () => {
    const name = inRegistry(state.loss);
    return { ...DPO.registry[name].defaults, ...LOSSES[state.loss][1](state.beta, state.noise) };
  };

  // A policy that stands still, with a run's pairs and loss: the reference, or the optimum.
  const standing = (logits) => {
    const there = DPO.startTraining(REF, pairs, inRegistry(state.loss), options(), state.rate, lengths);
    return Object.assign(there, { logits });
  };

  function drawPairs() {
    const probs = logProbs[state.author].map(Math.exp);
    pairs = DPO.samplePairs(probs, rewards, state.count, state.noise, state.seed);
    share = DPO.mean(pairs.map(([w, l]) => (rewards[w] > rewards[l] ? 1 : 0)));
    judged = DPO.judged(pairs, texts.length);
  }

  function startOver() {
    run = standing([...REF]);
    curve = [DPO.measure(run, rewards)];
  }

  const now = () => curve[curve.length - 1];
  // The most reward at a distance; the last answer is kept, since all of a drawing asks for the same.
  let asked = [0, START];
  function bestAt(kl) {
    if (kl < 1e-9) return START;
    if (asked[0] !== kl) asked = [kl, DPO.gibbsAtKl(REF, rewards, Math.min(kl, FARTHEST - 1e-3)).meanReward];
    return asked[1];
  }

  // Every change of a setting keeps the run that was made before it.
  function keep() {
    stop();
    if (!run.step) return;
    const { kl, reward } = now();
    past.push({ ...state, step: run.step, kl, reward, best: bestAt(kl), number: past.length ? past[past.length - 1].number + 1 : 1 });
    if (past.length > KEPT) past.shift();
    showRuns();
  }

  function change(name) {
    return (value) =>
      timed(() => {
        keep();
        state[name] = value;
        if (name !== "beta" && name !== "loss" && name !== "rate") {
          drawPairs();
          fillJudged();
        }
        startOver();
        show();
      });
  }

  // ---------------------------------------------------------------- training
  function train(steps) {
    for (let k = 0; k < steps; k++) {
      DPO.trainStep(run);
      if (run.step % 5 === 0) curve.push(DPO.measure(run, rewards));
    }
    if (run.step % 5) curve.push(DPO.measure(run, rewards));
  }

  function play() {
    if (playing) return stop();
    let left = BURST;
    $("train").textContent = "Stop";
    const go = () => {
      const steps = still.matches ? left : Math.min(A_FRAME, left); // without motion: at once
      train(steps);
      left -= steps;
      show(left > 0);
      if (left > 0) playing = requestAnimationFrame(go);
      else stop();
    };
    playing = requestAnimationFrame(go);
  }

  function stop() {
    if (playing) cancelAnimationFrame(playing);
    playing = undefined;
    $("train").textContent = run.step ? `${BURST} more steps` : `Train ${BURST} steps`;
  }

  // ---------------------------------------------------------------- the frontier
  const picture = {};
  const LINE = Array.from({ length: 90 }, (_, k) => DPO.gibbs(REF, rewards, 40 * 0.9 ** k)).map((g) => [g.kl, g.meanReward]);

  // The picture is wider where a run goes far.
  const reach = () => (Math.max(...[...curve, ...past].map((m) => m.kl)) > 5.8 ? 9 : 6);

  function drawFrontier() {
    picture.reach = reach();
    const svg = $("frontier");
    const at = frame(svg, {
      x: { from: 0, to: picture.reach, ticks: Array.from({ length: picture.reach + 1 }, (_, k) => k), label: "KL to the reference, nats" },
      y: { from: -0.6, to: 3, ticks: [0, 1, 2, 3], label: "mean true reward" },
      height: widthOf(svg) < 500 ? 320 : 380,
    });
    const line = LINE.filter(([kl]) => kl < FARTHEST - 0.02);
    picture.at = at;
    picture.price = at.add("path", { class: "optimum thin", clip: true });
    at.add("path", { class: "optimum", clip: true, d: path(line.map(([kl, r]) => [at.x(kl), at.y(r)])) });
    at.add("text", { class: "optimum halo", x: at.x(4.1), y: at.y(2.47) - 10, "text-anchor": "middle" }, "the frontier");
    picture.past = at.add("g", {});
    picture.lost = at.add("path", { class: "policy thin" });
    picture.run = at.add("path", { class: "policy", clip: true });
    at.add("rect", { class: "reference", x: at.x(0) - 5, y: at.y(START) - 5, width: 10, height: 10 });
    at.add("text", { class: "reference halo", x: at.x(0) + 10, y: at.y(START) + 16 }, "reference");
    picture.ring = at.add("circle", { class: "policy past", r: 5, clip: true });
    picture.end = at.add("circle", { class: "policy dot", r: 6, clip: true });
    picture.endWords = at.add("text", { class: "policy halo" });
    picture.star = at.add("circle", { class: "optimum dot", r: 7, id: "star" });
    picture.starWords = at.add("text", { class: "optimum halo" });
    updateFrontier();
    updatePast();
  }

  function updateFrontier() {
    if (picture.reach !== reach()) return drawFrontier();
    const { at } = picture;
    const { kl, meanReward } = best;
    const { x, y } = at;
    const top = state.beta * best.logZ; // where the line of slope β meets a KL of zero
    move(picture.price, { d: path([[x(0), y(top)], [x(picture.reach), y(top + picture.reach * state.beta)]]) });
    move(picture.star, { cx: x(kl), cy: y(meanReward) });
    const room = x(kl) > x(0) + 110; // above the line there is no run
    const steep = kl < 0.3; // there the words stand on the right, below the frontier
    move(picture.starWords, { x: x(kl) + (steep ? 13 : -9), y: y(meanReward) + (steep ? 5 : -11), "text-anchor": steep ? "start" : "end" });
    picture.starWords.textContent = room ? `π* at β = ${state.beta}` : "π*";
    const trained = run.step > 0;
    for (const part of ["run", "end", "lost"]) picture[part].style.display = trained ? "" : "none";
    picture.endWords.textContent = "";
    const ring = trained && crossed();
    picture.ring.style.display = ring ? "" : "none";
    if (ring) move(picture.ring, { cx: x(ring.kl), cy: y(ring.reward) });
    if (!trained) return;
    const end = now();
    move(picture.run, { d: path(curve.map((m) => [x(m.kl), y(m.reward)])) });
    move(picture.end, { cx: x(end.kl), cy: y(end.reward) });
    move(picture.lost, { d: path([[x(end.kl), y(end.reward)], [x(end.kl), y(bestAt(end.kl))]]) });
    const right = x(end.kl) > at.width - 110;
    const beside = steep && Math.abs(x(end.kl) - x(kl)) < 30 ? 36 : 10;
    move(picture.endWords, { x: x(end.kl) + (right ? -10 : beside), y: y(end.reward) + 16, "text-anchor": right ? "end" : "start" });
    picture.endWords.textContent = `step ${end.step}`;
  }

  function updatePast() {
    if (!picture.at) return;
    const { x, y, inside } = picture.at;
    picture.past.replaceChildren();
    for (const { kl, reward, number: which } of past) {
      const [cx, cy] = [Math.min(x(kl), inside.x + inside.width), Math.min(y(reward), inside.y + inside.height)];
      picture.past.append(
        DPO.page.element("circle", { class: "policy past", cx, cy, r: 8 }),
        DPO.page.element("text", { class: "policy", x: cx, y: cy + 4, "text-anchor": "middle", style: "font-size:11px" }, which)
      );
    }
  }

  // ---------------------------------------------------------------- curves
  const label = (at, y, className, words) => at.add("text", { class: `${className} halo`, x: at.inside.x + at.inside.width + 6, y: y + 4 }, words);

  function stepsAxis() {
    const most = Math.max(BURST, Math.ceil(run.step / BURST) * BURST);
    return { from: 0, to: most, ticks: [0, most / 3, (2 * most) / 3, most], label: "step" };
  }

  function flat(at, value, className) {
    at.add("path", { class: className, d: `M${at.inside.x} ${at.y(value)}h${at.inside.width}` });
  }

  function drawLosses() {
    const begin = curve[0].loss;
    const all = [...curve.map((m) => m.loss), own.loss];
    const at = frame($("losses"), { x: stepsAxis(), y: { ...range(Math.min(...all), Math.max(...all)), label: "mean loss of the pairs" }, height: 230, right: 74 });
    flat(at, begin, "reference");
    flat(at, own.loss, "optimum thin");
    at.add("path", { class: "policy", d: path(curve.map((m) => [at.x(m.step), at.y(m.loss)])) });
    const heights = apart([at.y(begin), at.y(own.loss), at.y(now().loss)]);
    label(at, heights[0], "reference", state.loss === "dpo" ? "ln 2" : "at first");
    label(at, heights[1], "optimum", "π*'s own");
    if (run.step) label(at, heights[2], "policy", "trained");
  }

  function drawRatios() {
    const optimum = [own.chosen, own.rejected];
    const all = [...curve.flatMap((m) => [m.chosen, m.rejected]), ...optimum, 0];
    const at = frame($("ratios"), { x: stepsAxis(), y: { ...range(Math.min(...all), Math.max(...all)), label: "mean log-ratio, nats" }, height: 230, right: 98 });
    flat(at, 0, "reference");
    ["chosen", "rejected"].forEach((side, i) => {
      flat(at, optimum[i], `${side} own`);
      at.add("path", { class: side, d: path(curve.map((m) => [at.x(m.step), at.y(m[side])])) });
    });
    const names = ["chosen", "rejected", "chosen, π*", "rejected, π*"];
    const places = [now().chosen, now().rejected, ...optimum];
    const shown = run.step ? [0, 1, 2, 3] : [2, 3];
    const heights = apart(shown.map((i) => at.y(places[i])));
    shown.forEach((i, k) => label(at, heights[k], names[i].split(",")[0], names[i]));
  }

  // ---------------------------------------------------------------- words and tables
  const ROWS = [
    ["In truth"],
    ["mean true reward", (m) => number(m.reward)],
    ["KL, nats", (m) => number(m.kl)],
    ["best reward at this KL", (m) => number(m === own ? m.reward : bestAt(m.kl))],
    ["lost under the frontier", (m) => number(m === own ? 0 : Math.max(bestAt(m.kl) - m.reward, 0))],
    ["On the pairs"],
    ["mean loss", (m) => number(m.loss, 3)],
    ["pairs in order: chosen gained more", (m) => percent(m.accuracy)],
    ["chosen log-ratio, nats", (m) => number(m.chosen)],
    ["rejected log-ratio, nats", (m) => number(m.rejected)],
    ["gap, nats", (m) => number(m.chosen - m.rejected)],
    ["margin, β × gap, a reward", (m) => number(state.beta * (m.chosen - m.rejected))],
    ["Of the optimum"],
    ["log Z", (m, which) => (which === 2 ? number(best.logZ) : "")],
    ["β log Z, a reward", (m, which) => (which === 2 ? number(state.beta * best.logZ) : "")],
  ];
  const cells = [];
  const bars = { 2: [], 3: [], 4: [] }; // column of the replies' table -> its cells

  function makeTables() {
    for (const [words, value] of ROWS) {
      const row = $("numbers").tBodies[0].insertRow();
      const head = row.appendChild(node("th", {}, words));
      if (!value) {
        Object.assign(head, { colSpan: 4, scope: "rowgroup" });
        row.className = "group";
        continue;
      }
      head.scope = "row";
      cells.push([value, [0, 1, 2].map(() => row.insertCell())]);
    }
    texts.forEach((text, i) => {
      const row = $("replies").tBodies[0].insertRow();
      row.append(node("th", { scope: "row" }, text));
      row.insertCell().textContent = number(rewards[i]);
      for (const column of Object.values(bars)) column.push(Object.assign(row.insertCell(), { className: "bar" }));
      row.insertCell();
    });
    fillColumn(2, REF);
    fillJudged();
  }

  // Which replies the pairs have judged: those that none has stand in italics.
  function fillJudged() {
    judged.forEach(([chosen, rejected], i) => {
      const row = $("replies").tBodies[0].rows[i];
      row.cells[5].textContent = chosen + rejected ? `${chosen} : ${rejected}` : "–";
      row.classList.toggle("unjudged", !(chosen + rejected));
    });
  }

  function fillColumn(column, logPolicy) {
    logPolicy.forEach((x, i) => {
      const p = Math.exp(x);
      const cell = bars[column][i];
      if (put(cell, percent(p))) cell.style.setProperty("--share", `${(100 * Math.min(p / 0.4, 1)).toFixed(1)}%`);
    });
  }

  function fillNumbers() {
    const three = [curve[0], run.step ? now() : null, own];
    for (const [value, columns] of cells) columns.forEach((cell, which) => put(cell, three[which] ? value(three[which], which) : "–"));
  }

  // Where on its path the loss fell below π*'s own: from there on it learns chance, too.
  const crossed = () => (sameOptimum() ? curve.find((m) => m.loss < own.loss) : undefined);
  const crossing = () => (crossed() ? ` At the ring, step ${crossed().step}, its loss had fallen below π*'s own.` : "");

  const times = (n) => ["never", "once", "twice"][n] || `${n.toLocaleString("en")} times`;

  // What the trained policy writes most often, and how often the reference did.
  function favourite() {
    const logPolicy = DPO.logSoftmax(run.logits);
    const i = logPolicy.indexOf(Math.max(...logPolicy));
    return ` Its most frequent reply, ${percent(Math.exp(logPolicy[i]))} of all, is “${texts[i]}”, which the reference writes ${percent(Math.exp(REF[i]))} of the time and whose reward is ${number(rewards[i])}.`;
  }

  // Both have fallen: which bad reply has grown most, and do the pairs know it? And what has become
  // of the replies that they don't know?
  function displaced() {
    const logPolicy = DPO.logSoftmax(run.logits);
    const i = DPO.grewMost(logPolicy, REF, rewards, START);
    const unknown = judged.flatMap(([chosen, rejected], k) => (chosen + rejected ? [] : [k]));
    const together = (logs) => percent(unknown.reduce((sum, k) => sum + Math.exp(logs[k]), 0));
    const grown = i < 0 ? " Both fell, and no reply that is worse than the reference's mean grew." : ` Both fell. Of the replies that are worse than the reference's mean “${texts[i]}” grew most, from ${percent(Math.exp(REF[i]))} to ${percent(Math.exp(logPolicy[i]))}: its reward is ${number(rewards[i])}, and the pairs chose it ${times(judged[i][0])} and rejected it ${times(judged[i][1])}.`;
    return grown + (unknown.length ? ` The replies that no pair has judged, ${unknown.length} of forty, went from ${together(REF)} to ${together(logPolicy)} together.` : "");
  }

  // The optimum's own log-ratio on the pairs is (mean reward - β log Z) / β, so its sign is no riddle.
  function why() {
    const reward = DPO.mean(pairs.map(([w]) => rewards[w]));
    const keeps = state.beta * best.logZ;
    return `The chosen replies' mean true reward is ${number(reward)}, ${reward < keeps ? "below" : "above"} β log Z = ${number(keeps)}: so the optimum itself makes them ${reward < keeps ? "rarer" : "more frequent"}.`;
  }

  function sentences() {
    const end = now();
    const goal = `β = ${state.beta}: the best policy earns ${number(best.meanReward)} at ${number(best.kl)} nats from the reference, which earns ${number(START)}. The thin line through it has slope β and meets the left border at β log Z = ${number(state.beta * best.logZ)}.`;
    if (!run.step) return [goal, `${state.count.toLocaleString("en")} pairs are drawn; ${percent(share)} of their labels agree with the true rewards. Nothing is trained yet.`, `The dotted lines are the optimum's own mean log-ratios on these pairs. ${why()}`];
    const there = bestAt(end.kl);
    const trained = ` After ${end.step} steps ${LOSSES[state.loss][0]} earns ${number(end.reward)} at ${number(end.kl)} nats, ${number(Math.max(there - end.reward, 0))} below the best there (dashed).${crossing()}${favourite()}`;
    const passed = !sameOptimum()
      ? `${state.noise && ["dpo", "cdpo"].includes(state.loss) ? "With labels turned round this loss" : "This loss"} has another optimum, so don't compare it with π*'s own.`
      : end.loss > curve[0].loss + 0.0005
        ? "It is higher than at first."
        : end.loss < own.loss
          ? "It is below the optimum's own, so part of what has been learnt is chance in these labels."
          : "It is still above the optimum's own.";
    const begin = state.loss === "dpo" ? "ln 2, which knows nothing" : "that of the reference";
    const losses = `Loss ${number(end.loss, 3)}. At first it was ${number(curve[0].loss, 3)}, ${begin}; π*'s own is ${number(own.loss, 3)}. ${passed} ${percent(share)} of the labels agree with the true rewards.`;
    const further = end.chosen < own.chosen - 0.005 ? "further down than the optimum's own," : end.chosen < 0 ? "no further down than the optimum's own," : "above zero; the optimum's own is";
    const ratios = `Chosen ${number(end.chosen)} nats, ${further} ${number(own.chosen)}. Rejected ${number(end.rejected)}; the optimum's own is ${number(own.rejected)}. ${why()}${end.chosen < 0 && end.rejected < 0 ? displaced() : ""}`;
    return [goal + trained, losses, ratios];
  }

  function showRuns() {
    const body = $("runs").tBodies[0];
    body.replaceChildren();
    for (const r of past) {
      const row = body.insertRow();
      const kept = [r.number, LOSSES[r.loss][0], r.beta, r.count.toLocaleString("en") + (r.author === "gloomy" ? ", gloomy" : ""), percent(r.noise), r.rate, r.step, number(r.kl), number(r.reward), number(r.best), number(Math.max(r.best - r.reward, 0))];
      for (const words of kept) row.insertCell().textContent = words;
    }
    for (const [id, hidden] of [["runs-box", !past.length], ["forget", !past.length], ["no-runs", past.length > 0]]) $(id).hidden = hidden;
    updatePast();
  }

  // All of the page after a change; `moving`: more is to come, so say nothing yet.
  function show(moving) {
    best = DPO.gibbs(REF, rewards, state.beta);
    own = DPO.measure(standing(best.logProbs), rewards);
    updateFrontier();
    drawLosses();
    drawRatios();
    fillNumbers();
    fillColumn(3, best.logProbs);
    fillColumn(4, run.step ? DPO.logSoftmax(run.logits) : REF);
    $("keeps").textContent = number(state.beta * best.logZ);
    const [first, second, third] = sentences();
    $("told").textContent = first;
    $("told-loss").textContent = second;
    $("told-ratios").textContent = third;
    if (!moving) say(`${first} ${second} ${third}`);
    if (!playing) stop();
  }

  function showEquation() {
    const row = DPO.registry[inRegistry(state.loss)];
    const where = /^\d/.test(row.paper) ? `arXiv ${row.paper}` : row.paper;
    $("equation").textContent = `${row.title} (${where}): ${equation(row.equation)}. ${LOSSES[state.loss][2] || ""}`;
  }

  // ---------------------------------------------------------------- begin
  $("prompt").textContent = prompt;
  const nothing = (share) => (share ? `${Math.round(100 * share)} %` : "none");
  const NOISE = Array.from({ length: 10 }, (_, k) => k / 20);
  slider("beta", { values: BETAS, start: state.beta, words: String, changed: change("beta") });
  slider("count", { values: COUNTS, start: state.count, words: (n) => n.toLocaleString("en"), changed: change("count") });
  slider("noise", { values: NOISE, start: state.noise, words: nothing, changed: change("noise") });
  slider("rate", { values: RATES, start: state.rate, words: String, changed: change("rate") });
  choices("author", AUTHORS, state.author, change("author"));
  choices("loss", Object.entries(LOSSES).map(([name, [words]]) => [name, words]), state.loss, (name) => {
    change("loss")(name);
    showEquation();
  });
  $("train").addEventListener("click", play);
  $("ten").addEventListener("click", () => {
    stop();
    train(10);
    show();
  });
  $("reset").addEventListener("click", () => {
    keep();
    startOver();
    show();
  });
  $("redraw").addEventListener("click", () => change("seed")(state.seed + 1));
  $("forget").addEventListener("click", () => {
    past.length = 0;
    showRuns();
  });

  drawPairs();
  best = DPO.gibbs(REF, rewards, state.beta);
  startOver();
  own = DPO.measure(standing(best.logProbs), rewards);
  makeTables();
  drawn($("frontier"), drawFrontier);
  drawn($("losses"), drawLosses);
  drawn($("ratios"), drawRatios);
  showEquation();
  show();
})();
