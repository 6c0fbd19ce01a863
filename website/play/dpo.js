// All mathematics of the playground. One global, DPO; a classic script, so that it also works from a
// disk. tests/test_play.py runs this file and holds every number against the Python package.
//
// Log-probabilities and log-ratios are in nats, rewards in log-odds, as in the book. A log-ratio
// carries no beta, a reward does. Vectors are plain arrays with an entry for each reply to one prompt.
var DPO = (function () {
  "use strict";

  // ---------------------------------------------------------------- numbers
  const sigmoid = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
  const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))); // -log sigmoid(-x)
  const logSigmoid = (x) => -softplus(-x);
  const bump = (x) => sigmoid(x) * sigmoid(-x); // the slope of sigmoid
  const sum = (xs) => xs.reduce((total, x) => total + x, 0);
  const dot = (xs, ys) => xs.reduce((total, x, i) => total + x * ys[i], 0);
  const mean = (xs) => sum(xs) / xs.length;

  function logSumExp(xs) {
    const top = Math.max(...xs);
    return top + Math.log(sum(xs.map((x) => Math.exp(x - top))));
  }

  function logSoftmax(xs) {
    const total = logSumExp(xs);
    return xs.map((x) => x - total);
  }

  // Random whole numbers of 32 bits, in this order in every language: Mulberry32.
  function generator(seed) {
    let state = seed >>> 0;
    return function () {
      state = (state + 0x6d2b79f5) >>> 0;
      let x = Math.imul(state ^ (state >>> 15), state | 1);
      x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
      return (x ^ (x >>> 14)) >>> 0;
    };
  }

  const uniform = (random) => random() / 2 ** 32; // 0 or more, below 1

  // ---------------------------------------------------------------- losses
  // Each takes a pair p = {chosen, rejected, refChosen, refRejected} of log-probabilities, where the
  // loss asks for them also chosenLength and rejectedLength, and options o under the package's names.
  // It gives [value, slope by chosen, slope by rejected].

  const rhoW = (p) => p.chosen - p.refChosen;
  const rhoL = (p) => p.rejected - p.refRejected;

  // A loss f(m, o) -> [value, slope by m] of the margin m = beta (rho_w - rho_l).
  const ofMargin = (f) => (p, o) => {
    const [value, slope] = f(o.beta * (rhoW(p) - rhoL(p)), o, p);
    return [value, slope * o.beta, -slope * o.beta];
  };

  // The label as given with weight a, turned round with weight b.
  const bothWays = (m, a, b) => [a * softplus(-m) + b * softplus(m), -a * sigmoid(-m) + b * sigmoid(m)];

  // -log sigmoid(u), where u has its own slopes by chosen and rejected.
  const sigmoidLoss = (u, byChosen, byRejected) => {
    const slope = -sigmoid(-u);
    return [softplus(-u), slope * byChosen, slope * byRejected];
  };

  const LARGEST_EXPONENT = 80;
  const cutExp = (x) => Math.exp(Math.min(x, LARGEST_EXPONENT));
  const cutSlope = (x) => (x > LARGEST_EXPONENT ? 0 : Math.exp(x));

  // f-DPO: f'(e^rho) and its slope by rho.
  const DIVERGENCES = {
    reverse_kl: (rho) => [rho, 1],
    forward_kl: (rho) => [-cutExp(-rho), cutSlope(-rho)],
    js: (rho) => [Math.LN2 + logSigmoid(rho), sigmoid(-rho)],
    alpha: (rho, a) => [(1 - cutExp(-a * rho)) / a, cutSlope(-a * rho)],
  };

  // ORPO: log(1 - p) of log p, and its slope; p is cut just below 1.
  function logOfTheRest(logP) {
    const x = Math.min(logP, -1e-6);
    const value = x > -Math.LN2 ? Math.log(-Math.expm1(x)) : Math.log1p(-Math.exp(x));
    return [value, logP > -1e-6 ? 0 : Math.exp(x) / Math.expm1(x)];
  }

  const LOSSES = {
    dpo: ofMargin((m) => bothWays(m, 1, 0)),
    cdpo: ofMargin((m, o) => bothWays(m, 1 - o.label_smoothing, o.label_smoothing)),
    robust_dpo: ofMargin((m, o) => {
      const rest = 1 - 2 * o.label_smoothing;
      return bothWays(m, (1 - o.label_smoothing) / rest, -o.label_smoothing / rest);
    }),
    dno: ofMargin((m, o, p) => bothWays(m, p.winProbability, 1 - p.winProbability)),
    hinge: ofMargin((m) => [Math.max(1 - m, 0), m < 1 ? -1 : 0]),
    exo: ofMargin((m, o) => {
      const [target, other] = [Math.log1p(-o.label_smoothing), Math.log(o.label_smoothing)];
      const value = sigmoid(m) * (logSigmoid(m) - target) + sigmoid(-m) * (logSigmoid(-m) - other);
      return [value, bump(m) * (m - target + other)];
    }),
    discopop: ofMargin((m, o) => {
      const [s, rest] = [sigmoid(m / o.tau), sigmoid(-m / o.tau)];
      const power = Math.exp(logSigmoid(m / o.tau) - m); // s e^-m, in a form that can't overflow
      const slope = (-s * rest * softplus(-m)) / o.tau - rest * sigmoid(-m) + power * (rest / o.tau - 1);
      return [rest * softplus(-m) + power, slope];
    }),
    ipo: (p, o) => {
      const miss = rhoW(p) - rhoL(p) - 1 / (2 * o.tau);
      return [miss * miss, 2 * miss, -2 * miss];
    },
    nca: (p, o) => {
      const [w, l] = [o.beta * rhoW(p), o.beta * rhoL(p)];
      const value = softplus(-w) + 0.5 * softplus(w) + 0.5 * softplus(l);
      return [value, o.beta * (0.5 * sigmoid(w) - sigmoid(-w)), o.beta * 0.5 * sigmoid(l)];
    },
    apo_zero: (p, o) => {
      const [w, l] = [o.beta * rhoW(p), o.beta * rhoL(p)];
      return [sigmoid(-w) + sigmoid(l), -o.beta * bump(w), o.beta * bump(l)];
    },
    apo_down: (p, o) => {
      const [w, m] = [o.beta * rhoW(p), o.beta * (rhoW(p) - rhoL(p))];
      return [sigmoid(w) + sigmoid(-m), o.beta * (bump(w) - bump(m)), o.beta * bump(m)];
    },
    sppo: (p, o) => {
      const [w, l] = [rhoW(p) - 1 / (2 * o.beta), rhoL(p) + 1 / (2 * o.beta)];
      return [w * w + l * l, 2 * w, 2 * l];
    },
    bco_pair: (p, o) => {
      const [w, l] = [o.beta * rhoW(p) - o.delta, o.beta * rhoL(p) - o.delta];
      return [softplus(-w) + softplus(l), -o.beta * sigmoid(-w), o.beta * sigmoid(l)];
    },
    dpop: (p, o) => {
      const fallen = Math.max(-rhoW(p), 0);
      const u = o.beta * (rhoW(p) - rhoL(p) - o.penalty * fallen);
      return sigmoidLoss(u, o.beta * (1 + (fallen > 0 ? o.penalty : 0)), -o.beta);
    },
    r_dpo: (p, o) => {
      const u = o.beta * (rhoW(p) - rhoL(p)) + o.alpha * (p.chosenLength - p.rejectedLength);
      return sigmoidLoss(u, o.beta, -o.beta);
    },
    length_normalized_dpo: (p, o) => {
      const [w, l] = [o.beta / p.chosenLength, o.beta / p.rejectedLength];
      return sigmoidLoss(w * rhoW(p) - l * rhoL(p), w, -l);
    },
    f_dpo: (p, o) => {
      const f = DIVERGENCES[o.divergence];
      const [[w, slopeW], [l, slopeL]] = [f(rhoW(p), o.alpha), f(rhoL(p), o.alpha)];
      return sigmoidLoss(o.beta * (w - l), o.beta * slopeW, -o.beta * slopeL);
    },
    chi_po: (p, o) => {
      const [w, l] = [rhoW(p), rhoL(p)];
      const u = o.beta * (w + cutExp(w) - l - cutExp(l));
      return sigmoidLoss(u, o.beta * (1 + cutSlope(w)), -o.beta * (1 + cutSlope(l)));
    },
    simpo: (p, o) => {
      const [w, l] = [o.beta / p.chosenLength, o.beta / p.rejectedLength];
      return sigmoidLoss(w * p.chosen - l * p.rejected - o.gamma, w, -l);
    },
    orpo: (p, o) => {
      const [w, l] = [p.chosen / p.chosenLength, p.rejected / p.rejectedLength];
      const [[restW, slopeW], [restL, slopeL]] = [logOfTheRest(w), logOfTheRest(l)];
      const odds = sigmoidLoss(w - restW - l + restL, 1 - slopeW, slopeL - 1);
      return [
        -w + o.weight * odds[0],
        (-1 + o.weight * odds[1]) / p.chosenLength,
        (o.weight * odds[2]) / p.rejectedLength,
      ];
    },
    cpo: (p, o) => {
      const [value, w, l] = sigmoidLoss(o.beta * (p.chosen - p.rejected), o.beta, -o.beta);
      return [value - o.nll_weight * p.chosen, w - o.nll_weight, l];
    },
    sft: (p) => [-p.chosen, -1, 0], // of the chosen response; the rejected one is not looked at
  };
  LOSSES.soft_dpo = LOSSES.dno;

  // AOT sorts the whole batch, so no pair has a loss of its own.
  function aot(pairs, o) {
    const order = (xs) => xs.map((x, i) => [x, i]).sort((a, b) => a[0] - b[0]);
    const policy = order(pairs.map((p) => p.chosen - p.rejected));
    const reference = order(pairs.map((p) => p.refChosen - p.refRejected));
    const rows = new Array(pairs.length);
    policy.forEach(([x, i], k) => {
      const [value, slope] = bothWays(o.beta * (x - reference[k][0]), 1, 0);
      rows[i] = [value, slope * o.beta, -slope * o.beta];
    });
    return rows;
  }

  // A loss by its name in the package's registry, of many pairs: a row [value, slopes] of each.
  function losses(name, pairs, options) {
    return name === "aot" ? aot(pairs, options) : pairs.map((p) => LOSSES[name](p, options));
  }

  // ---------------------------------------------------------------- the exact optimum
  // KL(p || q), nats, of log-probabilities; 0 log 0 is 0.
  function kl(logP, logQ) {
    return sum(logP.map((x, i) => (x === -Infinity ? 0 : Math.exp(x) * (x - logQ[i]))));
  }

  // pi* = pi_ref exp(r / beta) / Z: arXiv 2305.18290, eq. 4.
  function gibbs(logRef, rewards, beta) {
    const ref = logSoftmax(logRef);
    const weights = ref.map((x, i) => x + rewards[i] / beta);
    const logZ = logSumExp(weights);
    const logProbs = weights.map((x) => x - logZ);
    return { logProbs, logZ, meanReward: dot(logProbs.map(Math.exp), rewards), kl: kl(logProbs, ref) };
  }

  // The optimum whose KL to the reference is `distance`: the most reward that there is at it.
  function gibbsAtKl(logRef, rewards, distance) {
    let [low, high] = [Math.log(1e-3), Math.log(1e4)];
    for (let i = 0; i < 55; i++) {
      const middle = (low + high) / 2;
      if (gibbs(logRef, rewards, Math.exp(middle)).kl > distance) low = middle;
      else high = middle;
    }
    return gibbs(logRef, rewards, Math.exp(high));
  }

  // ---------------------------------------------------------------- Bradley-Terry
  const preferences = (rewards) => rewards.map((a) => rewards.map((b) => 0.5 * (1 + Math.tanh((a - b) / 2))));

  // [accuracy, loss] that no model can beat on fresh labels of two replies from `probs`.
  function ceiling(probs, preferred) {
    let [weights, accuracy, loss] = [0, 0, 0];
    probs.forEach((a, i) =>
      probs.forEach((b, j) => {
        if (i === j) return;
        const p = preferred[i][j];
        weights += a * b;
        accuracy += a * b * Math.max(p, 1 - p);
        loss -= 2 * a * b * (p > 0 ? p * Math.log(p) : 0);
      })
    );
    return [accuracy / weights, loss / weights];
  }

  // Which of n nodes can be reached from which, themselves included.
  function reaches(edges) {
    const reach = edges.map((row, i) => row.map((edge, j) => edge || i === j));
    for (let k = 0; k < reach.length; k++)
      for (let i = 0; i < reach.length; i++)
        if (reach[i][k]) for (let j = 0; j < reach.length; j++) reach[i][j] = reach[i][j] || reach[k][j];
    return reach;
  }

  // The inverse of a matrix, by Gauss and Jordan with the largest pivot.
  function inverse(matrix) {
    const n = matrix.length;
    const rows = matrix.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1 : 0))]);
    for (let k = 0; k < n; k++) {
      let top = k;
      for (let i = k + 1; i < n; i++) if (Math.abs(rows[i][k]) > Math.abs(rows[top][k])) top = i;
      [rows[k], rows[top]] = [rows[top], rows[k]];
      rows[k] = rows[k].map((x) => x / rows[k][k]);
      for (let i = 0; i < n; i++)
        if (i !== k && rows[i][k] !== 0) {
          const factor = rows[i][k];
          rows[i] = rows[i].map((x, j) => x - factor * rows[k][j]);
        }
    }
    return rows.map((row) => row.slice(n));
  }

  // Scores that make the counted choices likeliest, and their covariance, as exact.fit_bradley_terry.
  // wins[i][j] counts how often i was chosen over j. null where some replies always win and no prior
  // holds them: their scores would grow for ever.
  function fitBradleyTerry(wins, prior) {
    const n = wins.length;
    const reach = reaches(wins.map((row) => row.map((count) => count > 0)));
    if (!prior && reach.some((row, i) => row.some((there, j) => there !== reach[j][i]))) return null;
    const games = wins.map((row, i) => row.map((count, j) => count + wins[j][i]));
    const group = reaches(games.map((row) => row.map((count) => count > 0)));
    let scores = new Array(n).fill(0);
    for (let round = 0; round < 100; round++) {
      const p = preferences(scores);
      const weight = games.map((row, i) => row.map((count, j) => count * p[i][j] * (1 - p[i][j])));
      const curvature = weight.map((row, i) =>
        row.map((w, j) => (i === j ? sum(row) + prior : 0) - w + (group[i][j] ? 1 : 0))
      );
      const slope = scores.map((s, i) => sum(games[i].map((count, j) => wins[i][j] - count * p[i][j])) - prior * s);
      const covariance = inverse(curvature);
      const step = covariance.map((row) => dot(row, slope));
      scores = scores.map((s, i) => s + step[i]);
      if (Math.max(...step.map(Math.abs)) < 1e-9) return { scores, covariance };
    }
    return null;
  }

  // Scores about their mean, and the standard error of each: scores are known but for a constant.
  function centred({ scores, covariance }) {
    const middle = mean(scores);
    const rows = covariance.map(mean);
    const all = mean(rows);
    const errors = covariance.map((row, i) => Math.sqrt(Math.max(row[i] - 2 * rows[i] + all, 0)));
    return { scores: scores.map((s) => s - middle), errors };
  }

  // Standard error of scores[i] - scores[j].
  const standardError = ({ covariance: c }, i, j) => Math.sqrt(Math.max(c[i][i] + c[j][j] - 2 * c[i][j], 0));

  // Threes [i, j, k] of which i was chosen over j, j over k and k over i more often than not.
  function circles(wins) {
    const over = (i, j) => wins[i][j] > wins[j][i];
    const found = [];
    for (let i = 0; i < wins.length; i++)
      for (let j = i + 1; j < wins.length; j++)
        for (let k = i + 1; k < wins.length; k++)
          if (j !== k && over(i, j) && over(j, k) && over(k, i)) found.push([i, j, k]);
    return found;
  }

  // The most choices that any order of the replies agrees with.
  function bestOrder(wins) {
    const most = (left) => {
      if (left.length < 2) return 0;
      return Math.max(
        ...left.map((first) => {
          const rest = left.filter((i) => i !== first);
          return sum(rest.map((i) => wins[first][i])) + most(rest);
        })
      );
    };
    return most(wins.map((_, i) => i));
  }

  // wins[i][j] of choices [winner, loser] among n replies.
  function countWins(choices, n) {
    const wins = Array.from({ length: n }, () => new Array(n).fill(0));
    for (const [winner, loser] of choices) wins[winner][loser] += 1;
    return wins;
  }

  // Choices of pairs that had been asked before, and how many of them were as the first time.
  function secondOpinions(choices) {
    const first = new Map();
    let [asked, same] = [0, 0];
    for (const [winner, loser] of choices) {
      const pair = [winner, loser].sort((a, b) => a - b).join(" ");
      if (!first.has(pair)) first.set(pair, winner);
      else {
        asked += 1;
        same += first.get(pair) === winner ? 1 : 0;
      }
    }
    return { asked, same };
  }

  // beta (log pi - log pi_ref) about its mean: the implicit rewards of a policy.
  function implicitRewards(logProbs, logRef, beta) {
    const rewards = logProbs.map((x, i) => beta * (x - logRef[i]));
    const middle = mean(rewards);
    return rewards.map((r) => r - middle);
  }

  // A choice as the book's files hold it; `more` is what a class's file has besides.
  function labelRow({ prompt, texts }, [winner, loser], more = {}) {
    return { prompt, chosen: texts[winner], rejected: texts[loser], ...more };
  }

  // Such records as a file: JSON Lines.
  const jsonLines = (rows) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

  // ---------------------------------------------------------------- training
  // n pairs of different replies drawn from `probs`, labelled by Bradley-Terry on the true rewards;
  // then each label is turned round with probability `noise`. Places of the chosen and the rejected.
  function samplePairs(probs, rewards, n, noise, seed) {
    const random = generator(seed);
    const draw = () => {
      let left = uniform(random);
      for (let i = 0; i < probs.length - 1; i++) {
        left -= probs[i];
        if (left < 0) return i;
      }
      return probs.length - 1;
    };
    const pairs = [];
    while (pairs.length < n) {
      const [a, b] = [draw(), draw()];
      if (a === b) continue;
      const wins = uniform(random) < sigmoid(rewards[a] - rewards[b]);
      const turned = uniform(random) < noise;
      pairs.push(wins !== turned ? [a, b] : [b, a]);
    }
    return pairs;
  }

  // A policy that is a table: one logit for each reply, at first the reference's log-probabilities.
  function startTraining(logRef, pairs, loss, options, rate, lengths) {
    const zeros = () => new Array(logRef.length).fill(0);
    const ref = logSoftmax(logRef);
    return { ref, logits: [...ref], pairs, loss, options, rate, lengths, step: 0, first: zeros(), second: zeros() };
  }

  // The pairs as the losses take them, under the policy with these log-probabilities.
  function scored(run, logProbs) {
    const lengths = run.lengths || [];
    return run.pairs.map(([w, l]) => ({
      chosen: logProbs[w],
      rejected: logProbs[l],
      refChosen: run.ref[w],
      refRejected: run.ref[l],
      chosenLength: lengths[w],
      rejectedLength: lengths[l],
      winProbability: 1,
    }));
  }

  // The gradient of the mean loss by the logits: d log pi_i / d logits = e_i - pi.
  function gradient(run) {
    const logProbs = logSoftmax(run.logits);
    const rows = losses(run.loss, scored(run, logProbs), run.options);
    const out = new Array(logProbs.length).fill(0);
    let pushed = 0;
    rows.forEach(([, w, l], i) => {
      out[run.pairs[i][0]] += w / rows.length;
      out[run.pairs[i][1]] += l / rows.length;
      pushed += (w + l) / rows.length;
    });
    return out.map((x, i) => x - Math.exp(logProbs[i]) * pushed);
  }

  // One step of Adam on the gradient of all pairs.
  function trainStep(run) {
    const [decay1, decay2, tiny] = [0.9, 0.999, 1e-8];
    run.step += 1;
    gradient(run).forEach((g, i) => {
      run.first[i] = decay1 * run.first[i] + (1 - decay1) * g;
      run.second[i] = decay2 * run.second[i] + (1 - decay2) * g * g;
      const scale = Math.sqrt(run.second[i]) / Math.sqrt(1 - decay2 ** run.step) + tiny;
      run.logits[i] -= (run.rate / (1 - decay1 ** run.step)) * (run.first[i] / scale);
    });
  }

  // What a dashboard shows of a policy: of its pairs, and of the truth.
  function measure(run, rewards) {
    const logProbs = logSoftmax(run.logits);
    const pairs = scored(run, logProbs);
    const [chosen, rejected] = [mean(pairs.map(rhoW)), mean(pairs.map(rhoL))];
    return {
      step: run.step,
      loss: mean(losses(run.loss, pairs, run.options).map((row) => row[0])),
      accuracy: mean(pairs.map((p) => (Math.abs(rhoW(p) - rhoL(p)) < 1e-9 ? 0.5 : rhoW(p) > rhoL(p) ? 1 : 0))),
      chosen,
      rejected,
      reward: dot(logProbs.map(Math.exp), rewards),
      kl: kl(logProbs, run.ref),
    };
  }

  // Mean log-ratios that the optimum itself gives to these pairs: [chosen, rejected].
  function optimumOn(pairs, rewards, beta, logZ) {
    return [0, 1].map((side) => mean(pairs.map((pair) => rewards[pair[side]])) / beta - logZ);
  }

  // How often the pairs show each of n replies: [as chosen, as rejected].
  function judged(pairs, n) {
    const counts = Array.from({ length: n }, () => [0, 0]);
    for (const pair of pairs) pair.forEach((reply, side) => (counts[reply][side] += 1));
    return counts;
  }

  // Of the replies whose reward is below `limit`, the one whose probability has grown most; -1 if none has.
  function grewMost(logProbs, logRef, rewards, limit) {
    const grown = logProbs.map((x, i) => (rewards[i] < limit ? Math.exp(x) - Math.exp(logRef[i]) : 0));
    const most = Math.max(...grown);
    return most > 0 ? grown.indexOf(most) : -1;
  }

  // ---------------------------------------------------------------- the plane
  // A pair as a point (rho_w, rho_l).
  const atPoint = (w, l) => ({ chosen: w, rejected: l, refChosen: 0, refRejected: 0 });

  // Downhill at a point: how hard a loss pushes the chosen and the rejected response.
  function push(name, w, l, options) {
    const [, slopeW, slopeL] = LOSSES[name](atPoint(w, l), options);
    return [0 - slopeW, 0 - slopeL];
  }

  // Gradient descent from a point. The two responses share parameters as far as their gradients are
  // alike: `cosine` is that between them, `ratio` the rejected one's length over the chosen one's.
  // A step changes rho_w by rate (a + b cosine ratio) and rho_l by rate (a cosine ratio + b ratio^2),
  // where a and b are the pushes. With cosine 0 and ratio 1 it moves the two numbers themselves.
  function descend(name, start, options, steps, rate, cosine, ratio) {
    let [w, l] = start;
    const path = [[w, l]];
    for (let k = 0; k < steps; k++) {
      const [a, b] = push(name, w, l, options);
      w += rate * (a + b * cosine * ratio);
      l += rate * (a * cosine * ratio + b * ratio * ratio);
      path.push([w, l]);
    }
    return path;
  }

  // Where a loss stops pushing, over beta and its other options: at a gap in nats (`up`: at any larger
  // one, too; `below`: only for gaps that are smaller than this) or at two log-ratios. NCA holds the
  // chosen response alone. A loss that isn't here, and NCA on the rejected one, pushes on for ever.
  const GOALS = {
    ipo: ({ tau }) => ({ gap: 1 / (2 * tau) }),
    cdpo: ({ beta, label_smoothing: e }) => ({ gap: Math.log((1 - e) / e) / beta }),
    exo: ({ beta, label_smoothing: e }) => ({ gap: Math.log((1 - e) / e) / beta }),
    hinge: ({ beta }) => ({ gap: 1 / beta, up: true }),
    sppo: ({ beta }) => ({ chosen: 1 / (2 * beta), rejected: -1 / (2 * beta) }),
    nca: ({ beta }) => ({ chosen: Math.LN2 / beta }),
    discopop: (o) => ({ gap: turn("discopop", o, -20 * o.tau, 0), below: turn("discopop", o, 0, 20 * o.tau) }),
  };
  const goal = (name, options) => (GOALS[name] ? GOALS[name](options) : null);

  // The gap between two margins at which the push on the chosen response changes its sign.
  function turn(name, options, from, to) {
    const sign = (m) => Math.sign(push(name, m / options.beta, 0, options)[0]);
    const first = sign(from);
    for (let k = 0; k < 60; k++) {
      const middle = (from + to) / 2;
      if (sign(middle) === first) from = middle;
      else to = middle;
    }
    return to / options.beta;
  }

  // ---------------------------------------------------------------- tokens and masks
  // Does token t of a row count? p tokens are the prompt's, those up to n the response's and its end,
  // the rest is padding. Token 0 never counts: nothing stands before it that could predict it.
  const MASKS = {
    right: (t, p, n) => t >= p && t < n,
    prompt: (t, p, n) => t >= 1 && t < n,
    end: (t, p, n) => t >= p && t < n - 1,
    late: (t, p, n) => t > p && t <= n, // the labels were shifted, the mask was not
    early: (t, p, n) => t >= p - 1 && t < n - 1, // the mask was shifted twice
    padding: (t, p) => t >= p,
  };
  const maskOf = (kind, p, n, width) => Array.from({ length: width }, (_, t) => t > 0 && MASKS[kind](t, p, n));

  // What a score makes of one row. row = {logps, itself}: logps[t - 1] is token t's log-probability
  // given all before it, itself[t] that of token t at its own place, which a forgotten shift reads.
  function scoreRow(row, mask, { unshifted = false, average = false } = {}) {
    const counts = unshifted ? mask.map((on, t) => on && t < mask.length - 1) : mask;
    const values = mask.map((_, t) => (unshifted ? row.itself[t] : row.logps[t - 1]));
    const total = sum(values.filter((_, t) => counts[t]));
    return average ? total / sum(counts.map(Number)) : total;
  }

  // A pair under policy and reference: policy and reference are {chosen, rejected} rows, masks likewise.
  function scorePair(policy, reference, masks, beta, how) {
    const sides = ["chosen", "rejected"];
    const scores = (model) => sides.map((side) => scoreRow(model[side], masks[side], how));
    const [ours, theirs] = [scores(policy), scores(reference)];
    const ratios = ours.map((x, i) => x - theirs[i]);
    const margin = beta * (ratios[0] - ratios[1]);
    return { policy: ours, reference: theirs, ratios, gap: ratios[0] - ratios[1], margin, loss: softplus(-margin) };
  }

  // ---------------------------------------------------------------- recorded curves
  // What a curve shows in four numbers; the last is a mean of eight points, since batches are noisy.
  function summary(curve) {
    return { first: curve[0], least: Math.min(...curve), most: Math.max(...curve), last: mean(curve.slice(-8)) };
  }

  // The whole numbers below n in an order of chance (Fisher and Yates).
  function shuffled(n, seed) {
    const random = generator(seed);
    const order = Array.from({ length: n }, (_, i) => i);
    for (let k = n - 1; k > 0; k--) {
      const other = Math.floor(uniform(random) * (k + 1));
      [order[k], order[other]] = [order[other], order[k]];
    }
    return order;
  }

  return {
    sigmoid, softplus, logSumExp, logSoftmax, generator, uniform, mean, dot,
    LOSSES, losses, kl, gibbs, gibbsAtKl, preferences, ceiling, fitBradleyTerry,
    samplePairs, startTraining, gradient, trainStep, measure, optimumOn, judged, grewMost, push, descend, goal,
    maskOf, scoreRow, scorePair, summary, shuffled, reaches, centred, standardError, circles, bestOrder, countWins, secondOpinions, implicitRewards, labelRow, jsonLines,
  };
})();
