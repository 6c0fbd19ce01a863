"""Blind attempts of students at chapters 12 to 19 (written from the student edition alone)."""

import numpy as np

ATTEMPTS = []


def value(exercise, kind, mistake, attempt):
    """Notes an attempt: a number, a tuple, a list."""
    ATTEMPTS.append(
        {"exercise": exercise, "kind": kind, "mistake": mistake, "attempt": attempt}
    )


def wrong(exercise, mistake):
    """Notes a function with a mistake."""

    def note(function):
        value(exercise, "wrong", mistake, function)
        return function

    return note


def right(exercise):
    """Notes a function without a mistake."""

    def note(function):
        value(exercise, "right", "", function)
        return function

    return note


# 12.1: (epsilon, IPO's move, cDPO's move)
value("12.1", "right", "", (0.303, 0.333, 0.361))  # 1 - σ(5/6); 0.1/0.3; (5/6 - 0.6528)/0.5
value("12.1", "right", "", [0.30294, 1 / 3, 0.36101])  # the same, unrounded, as a list
value(
    "12.1",
    "wrong",
    "Hands in the resting places at p = 0.9, not how far they moved.",
    (0.303, 1.333, 1.306),  # 0.4 / 0.3; logit(0.6577) / 0.5
)
value(
    "12.1",
    "wrong",
    "Takes ε for the probability itself, σ(β/(2τ)), not for one less it.",
    (0.697, 0.333, 0.361),  # σ(5/6); cDPO's places -1.667 and -1.306
)
value(
    "12.1",
    "wrong",
    "Half remembers IPO's target as 1/τ.",
    (0.159, 0.667, 0.884),  # 1 - σ(0.5/0.3); 0.2/0.3; (1.667 - 1.225)/0.5
)
value(
    "12.1",
    "wrong",
    "Thinks that a tenth of wrong labels takes a tenth off IPO's target, forgetting that a "
    "wrong label also pulls the other way.",
    (0.303, 0.167, 0.361),  # 0.1 * 1.667
)
value(
    "12.1",
    "wrong",
    "Subtracts ε from p: thinks that cDPO's soft label is p - ε.",
    (0.303, 0.333, 0.880),  # 1.667 - logit(0.9 - 0.303) / 0.5
)
value(
    "12.1",
    "wrong",
    "Gives each move as a share of the old resting place, not in nats.",
    (0.303, 0.2, 0.217),  # 0.3333 / 1.667; 0.3610 / 1.667
)


# 12.2: share of pairs whose n labels all agree
@right("12.2")
def all_or_none(n, p):
    return p**n + (1 - p) ** n


@right("12.2")
def agree_in_draws(n, p):
    wins = np.random.default_rng(3).binomial(n, p, 400_000)
    return float(np.mean((wins == 0) | (wins == n)))


@wrong("12.2", "Thinks only of the pairs whose first response wins always.")
def only_the_first(n, p):
    return p**n


@wrong("12.2", "Gives the share of pairs with a finite resting place.")
def finite_share(n, p):
    return 1 - p**n - (1 - p) ** n


@wrong("12.2", "Takes n(1 - p), the mean number of dissenters, for the chance of any.")
def rule_of_thumb(n, p):
    return max(0.0, 1 - n * (1 - p))


@wrong("12.2", "Lets the majority decide the label: share of pairs in which the first has more.")
def majority(n, p):
    wins = np.random.default_rng(0).binomial(n, p, 200_000)
    return float(np.mean(2 * wins > n))


@wrong("12.2", "Lets the first label be any, and the others agree with it with probability p.")
def others_agree(n, p):
    return p ** (n - 1)


@wrong("12.2", "Joins two events that exclude each other as if they were independent.")
def as_if_independent(n, p):
    first, second = p**n, (1 - p) ** n
    return first + second - first * second


# 15.0: collect(author, parts, label_of, policy_of)
@right("15.0")
def collect_loop(author, parts, label_of, policy_of):
    log_pi, wins = author, 0
    for t in range(parts):
        if t:
            log_pi = policy_of(wins)
        wins = wins + label_of(log_pi)
    return wins


@right("15.0")
def collect_list(author, parts, label_of, policy_of):
    rounds = [label_of(author)]
    while len(rounds) < parts:
        rounds.append(label_of(policy_of(np.sum(rounds, axis=0))))
    return np.sum(rounds, axis=0)


@wrong("15.0", "Fits each policy to the last round's wins alone, not to all so far.")
def collect_fit_last(author, parts, label_of, policy_of):
    new = label_of(author)
    wins = new
    for _ in range(parts - 1):
        new = label_of(policy_of(new))
        wins = wins + new
    return wins


@wrong("15.0", "Lets the author write the pairs of all rounds: the policy never samples.")
def collect_author_only(author, parts, label_of, policy_of):
    return sum(label_of(author) for _ in range(parts))


@wrong("15.0", "Returns the last round's wins, not those of all rounds.")
def collect_last_round(author, parts, label_of, policy_of):
    new = label_of(author)
    wins = new
    for _ in range(parts - 1):
        new = label_of(policy_of(wins))
        wins = wins + new
    return new


@wrong("15.0", "Counts the author's pairs as round zero and adds `parts` rounds to them.")
def collect_one_more(author, parts, label_of, policy_of):
    wins = label_of(author)
    for _ in range(parts):
        wins = wins + label_of(policy_of(wins))
    return wins


@wrong("15.0", "Divides by the number of rounds: hands in the mean where the sum is asked for.")
def collect_mean(author, parts, label_of, policy_of):
    return collect_loop(author, parts, label_of, policy_of) / parts


@wrong("15.0", "Fits the policy to the games, i over j plus j over i: mistakes these for wins.")
def collect_games(author, parts, label_of, policy_of):
    wins = label_of(author)
    for _ in range(parts - 1):
        wins = wins + label_of(policy_of(wins + wins.T))
    return wins


# 15.3: tokens (before, judge likes length, judge is honest); all from runs of the package
value("15.3", "right", "", (19.74, 26.48, 20.82))  # config's seed 0, samples' seed 0
value("15.3", "right", "", [21.0, 25.8, 19.6])  # config's seed 5, samples' seed 5
value(
    "15.3",
    "wrong",
    "Trains on with the honest judge where the other left off, not from the first model.",
    (19.74, 26.48, 27.89),
)
value(
    "15.3",
    "wrong",
    "Sets 8 steps for the whole run, so that a round has two.",
    (19.74, 23.39, 19.65),
)
value(
    "15.3",
    "wrong",
    "Hands in how many tokens the texts have grown by, for the two judges.",
    (19.74, 6.74, 1.08),  # 26.48 - 19.74; 20.82 - 19.74
)
value(
    "15.3",
    "wrong",
    "Forgets that training is in place: measures 'before' on the model that the judge who "
    "likes length has trained.",
    (26.48, 26.48, 20.82),
)
value(
    "15.3",
    "wrong",
    "Calls length_biased() without the 0.3, so that a word is worth its default, 0.15.",
    (19.74, 24.57, 20.82),
)
value(
    "15.3",
    "wrong",
    "Instead of running: 0.3 a word is 30 % longer, and an honest judge changes nothing.",
    (19.74, 25.66, 19.74),  # 1.3 * 19.74
)


# 16.0: stepwise(parts, configs, moving)
def tools():
    """What the chapter imports; loaded when first used."""
    from dpo_from_scratch.models import frozen_copy, load_model
    from dpo_from_scratch.training import train

    return frozen_copy, load_model, train


@right("16.0")
def stepwise_one_policy(parts, configs, moving=True):
    frozen_copy, load_model, train = tools()
    policy, tokenizer = load_model("tiny")
    models = [frozen_copy(policy)]
    for part, config in zip(parts, configs, strict=True):
        reference = models[-1] if moving else models[0]
        train(policy, tokenizer, part, config, reference=reference, progress=False)
        models.append(frozen_copy(policy))
    return models


@right("16.0")
def stepwise_copies(parts, configs, moving=True):
    frozen_copy, load_model, train = tools()
    first, tokenizer = load_model("tiny")
    models = [first]
    for t in range(len(parts)):
        policy = frozen_copy(models[t]).requires_grad_(True)
        reference = frozen_copy(models[t if moving else 0])
        train(policy, tokenizer, parts[t], configs[t], reference=reference, progress=False)
        models.append(policy)
    return models


@wrong("16.0", "Puts the one live model into the list each time, so all entries are the last.")
def stepwise_live(parts, configs, moving=True):
    frozen_copy, load_model, train = tools()
    policy, tokenizer = load_model("tiny")
    first, models = frozen_copy(policy), [policy]
    for part, config in zip(parts, configs, strict=True):
        reference = frozen_copy(policy) if moving else first
        train(policy, tokenizer, part, config, reference=reference, progress=False)
        models.append(policy)
    return models


@wrong("16.0", "Starts each part from the first model again; only the reference moves.")
def stepwise_restart(parts, configs, moving=True):
    frozen_copy, load_model, train = tools()
    models = [frozen_copy(load_model("tiny")[0])]
    for part, config in zip(parts, configs, strict=True):
        policy, tokenizer = load_model("tiny")
        reference = models[-1] if moving else models[0]
        train(policy, tokenizer, part, config, reference=reference, progress=False)
        models.append(frozen_copy(policy))
    return models


@wrong("16.0", "Moves the reference always: never thinks of what moving=False asks for.")
def stepwise_always(parts, configs, moving=True):
    frozen_copy, load_model, train = tools()
    policy, tokenizer = load_model("tiny")
    models = [frozen_copy(policy)]
    for part, config in zip(parts, configs, strict=True):
        train(policy, tokenizer, part, config, reference=models[-1], progress=False)
        models.append(frozen_copy(policy))
    return models


@wrong("16.0", "Trains each turn on all rows so far, not on the new part alone.")
def stepwise_all_rows(parts, configs, moving=True):
    frozen_copy, load_model, train = tools()
    policy, tokenizer = load_model("tiny")
    models, rows = [frozen_copy(policy)], []
    for part, config in zip(parts, configs, strict=True):
        rows = rows + part
        reference = models[-1] if moving else models[0]
        train(policy, tokenizer, rows, config, reference=reference, progress=False)
        models.append(frozen_copy(policy))
    return models


@wrong("16.0", "Returns the models after the parts only, without the first.")
def stepwise_without_first(parts, configs, moving=True):
    return stepwise_one_policy(parts, configs, moving)[1:]


@wrong("16.0", "Lets the reference lag by a part: the model that the last turn began with.")
def stepwise_lag(parts, configs, moving=True):
    frozen_copy, load_model, train = tools()
    policy, tokenizer = load_model("tiny")
    models = [frozen_copy(policy)]
    for t, (part, config) in enumerate(zip(parts, configs, strict=True)):
        reference = models[max(t - 1, 0)] if moving else models[0]
        train(policy, tokenizer, part, config, reference=reference, progress=False)
        models.append(frozen_copy(policy))
    return models


# 17.0: dno_step(now, P, eta)
@right("17.0")
def dno_product(now, P, eta):
    raised = now * np.exp(P @ now / eta)
    return raised / raised.sum()


@right("17.0")
def dno_torch(now, P, eta):
    import torch

    now, P = torch.as_tensor(np.array(now)), torch.as_tensor(np.array(P))
    return torch.softmax(now.log() + P @ now / eta, dim=0).numpy()


@right("17.0")
def dno_loops(now, P, eta):
    n = len(now)
    wins = [sum(P[y][z] * now[z] for z in range(n)) for y in range(n)]
    most = max(wins)
    raised = [now[y] * np.exp((wins[y] - most) / eta) for y in range(n)]
    return np.array([x / sum(raised) for x in raised])


def softmax(x):
    raised = np.exp(x - np.max(x))
    return raised / raised.sum()


@wrong("17.0", "Leaves out the present policy: a softmax of the win rates alone.")
def dno_without_now(now, P, eta):
    return softmax(P @ now / eta)


@wrong("17.0", "Takes η for the size of the step and multiplies by it.")
def dno_times_eta(now, P, eta):
    return softmax(np.log(now) + eta * (P @ now))


@wrong("17.0", "Reads the table the other way: how often the policy beats the reply.")
def dno_other_side(now, P, eta):
    return softmax(np.log(now) + now @ P / eta)


@wrong("17.0", "Takes the win rate against evenly drawn opponents, not the present policy.")
def dno_even_opponents(now, P, eta):
    return softmax(np.log(now) + P.mean(1) / eta)


@wrong("17.0", "Takes the logit of the win rate for a reward, as under Bradley-Terry.")
def dno_logit(now, P, eta):
    wins = P @ now
    return softmax(np.log(now) + np.log(wins / (1 - wins)) / eta)


@wrong("17.0", "Divides the whole exponent by η, the present policy's logarithm as well.")
def dno_all_by_eta(now, P, eta):
    return softmax((np.log(now) + P @ now) / eta)


# 17.1: attempt_1(eta, rounds)
def panel_game():
    """The panel's table and the grammar's shares, as chapter 17 makes them."""
    from dpo_from_scratch import world

    prompt = "film : how was the plot ?"
    texts = ["the plot was lovely .", "the plot was dull .", "it was my second time ."]
    P = np.array([[world.panel(prompt, a, b) for b in texts] for a in texts])
    return P, np.array(world.HOUSE.first)


def course(eta, rounds, moving=True):
    """The policies of all rounds, the grammar first, and the table."""
    P, grammar = panel_game()
    path = [grammar]
    for _ in range(rounds):
        start = path[-1] if moving else grammar
        path.append(softmax(np.log(start) + P @ path[-1] / eta))
    return np.array(path), P


@right("17.1")
def average_of_play(eta, rounds):
    path, P = course(eta, rounds)
    return float((P @ path[1:].mean(axis=0)).max())


@right("17.1")
def running_sum(eta, rounds):
    P, now = panel_game()
    scores, total = np.log(now), np.zeros(3)
    for _ in range(rounds):
        scores = scores + P @ now / eta
        now = softmax(scores)
        total += now
    return round(max(float(row @ total) / rounds for row in P), 6)


@wrong("17.1", "Asks for the exploitability of the last round, not of the average.")
def last_round(eta, rounds):
    path, P = course(eta, rounds)
    return float((P @ path[-1]).max())


@wrong("17.1", "Averages the rounds' exploitabilities instead of their policies.")
def mean_of_rounds(eta, rounds):
    path, P = course(eta, rounds)
    return float((path[1:] @ P.T).max(axis=1).mean())


@wrong("17.1", "Takes the grammar, round 0, into the average.")
def with_the_grammar(eta, rounds):
    path, P = course(eta, rounds)
    return float((P @ path.mean(axis=0)).max())


@wrong("17.1", "Keeps the grammar as the reference of all rounds.")
def fixed_reference(eta, rounds):
    path, P = course(eta, rounds, moving=False)
    return float((P @ path[1:].mean(axis=0)).max())


@wrong("17.1", "Reports the best round: the smallest exploitability on the way.")
def best_round(eta, rounds):
    path, P = course(eta, rounds)
    return float((path[1:] @ P.T).max(axis=1).min())


@wrong("17.1", "Takes exploitability for what the best reply wins beyond one half.")
def beyond_a_half(eta, rounds):
    return average_of_play(eta, rounds) - 0.5


# 18.2: attempt_2(true, luck)
@right("18.2")
def chosen_worth(true, luck):
    at = (true + luck).argmax(-1)
    return np.take_along_axis(true, at[..., None], 2)[..., 0]


@right("18.2")
def chosen_worth_loops(true, luck):
    worth = np.zeros(true.shape[:2])
    for table in range(true.shape[0]):
        for method in range(true.shape[1]):
            shown = true[table, method] + luck[table, method]
            worth[table, method] = true[table, method, np.argmax(shown)]
    return worth


@right("18.2")
def chosen_worth_torch(true, luck):
    import torch

    true, luck = torch.as_tensor(true), torch.as_tensor(luck)
    at = (true + luck).max(dim=2, keepdim=True).indices
    return true.gather(2, at).squeeze(2).numpy()


@wrong("18.2", "Takes what the best trial shows for what it is worth: keeps its luck.")
def as_shown(true, luck):
    return (true + luck).max(-1)


@wrong("18.2", "Assumes that tuning finds the trial that is truly best.")
def truly_best(true, luck):
    return true.max(-1)


@wrong("18.2", "Thinks that luck decides alone, so the pick is worth a method's mean trial.")
def mean_trial(true, luck):
    return true.mean(-1)


@wrong("18.2", "Chooses one trial for each method over all tables, by its mean showing.")
def chosen_over_tables(true, luck):
    at = (true + luck).mean(0).argmax(-1)  # (methods,)
    return true[:, np.arange(true.shape[1]), at]


@wrong("18.2", "Shrinks the best showing by the share of variance that is worth, 0.2.")
def shrunk(true, luck):
    return (true + luck).max(-1) * 0.05**2 / (0.05**2 + 0.1**2)


@wrong("18.2", "Takes the largest luck off the largest showing, as if one trial had both.")
def less_largest_luck(true, luck):
    return (true + luck).max(-1) - luck.max(-1)


# 19.1: attempt_1(judged)
@right("19.1")
def winners(judged):
    full = [g["scores"] for g in judged if len(g["responses"]) == 4]
    best = np.argmax(np.array(full), axis=1)
    return np.bincount(best, minlength=4) / len(full)


@right("19.1")
def winners_by_hand(judged):
    won, full = [0, 0, 0, 0], 0
    for group in judged:
        if len(group["scores"]) < 4:
            continue
        full += 1
        won[group["scores"].index(max(group["scores"]))] += 1
    return tuple(w / full for w in won)


@wrong("19.1", "Leaves the shorter groups out of the count but divides by all groups.")
def over_all_groups(judged):
    full = [g["scores"] for g in judged if len(g["scores"]) == 4]
    best = np.argmax(np.array(full), axis=1)
    return np.bincount(best, minlength=4) / len(judged)


@wrong("19.1", "Counts in the shorter groups, as if the place still told the writer.")
def shorter_groups_too(judged):
    best = [int(np.argmax(g["scores"])) for g in judged]
    return np.bincount(best, minlength=4) / len(judged)


@wrong("19.1", "Asks the true reward who is best, not the judge's scores.")
def by_true_reward(judged):
    from dpo_from_scratch import world

    best = [
        int(np.argmax([world.reward(g["prompt"], text) for text in g["responses"]]))
        for g in judged
        if len(g["responses"]) == 4
    ]
    return np.bincount(best, minlength=4) / len(best)


@wrong("19.1", "Gives the share of duels with the other three that a source wins.")
def duels(judged):
    scores = np.array([g["scores"] for g in judged if len(g["scores"]) == 4])
    beats = scores[:, :, None] > scores[:, None, :]
    return beats.sum(2).mean(0) / 3


@wrong("19.1", "Takes a score above the group's mean for a win.")
def above_the_mean(judged):
    scores = np.array([g["scores"] for g in judged if len(g["scores"]) == 4])
    return (scores > scores.mean(1, keepdims=True)).mean(0)


@wrong("19.1", "Compares the sources' mean scores: the best mean wins them all.")
def best_mean_takes_all(judged):
    scores = np.array([g["scores"] for g in judged if len(g["scores"]) == 4])
    return np.eye(4)[scores.mean(0).argmax()]
