"""DPO from Scratch: the package behind the book.

This is the map: every room in reading order, a phrase for every file. To see how DPO works, read
logprobs -> losses -> training/loop. A room's face is its __init__.py: `losses.dpo`, `world.reward`,
`training.train`. An arrow says what a room may import besides itself; tests hold it.

Core, what the chapters derive                                  -> nothing
  logprobs.py               log-probabilities of tokens and of responses
  losses/                   every loss by name, and LOSSES, which has them all
    registry.py             what a loss says of itself, and what a trainer must hand it
    checks.py               what every loss asks of its arguments
    margin.py               losses of the margin alone: DPO, IPO, cDPO and others
    sides.py                losses that look at each response by itself: APO, NCA, DPOP and others
    without_reference.py    SimPO, ORPO, CPO, and supervised fine-tuning
    thumbs.py               KTO and BCO: single responses, liked or not
  exact.py                  Bradley-Terry and the Gibbs optimum where all replies can be listed
  turns.py                  where a response ends, asked of the chat template and the model
  tokens.py                 from rows to tensors: token ids, what is scored, padding
  data/                     preference files: read, check, convert, write
    report.py               what reading found, and the error for what can't be used
    tables.py               Parquet files and `datasets` folders
    sources.py              where rows come from: lines, arrays, tables; and writing them
    columns.py              the kind that a file's columns make
    recipes.py              columns of other names: a line of Python that renames them
    texts.py                strings, messages, transcripts; what is dropped is compared first
    rows.py                 one row in normal form, and what is odd about it
    stored.py               many rows on the disk, made once and mapped
    reading.py              a file of rows with a report, by one reader for all
  others.py                 other people's code, templates and tokenizers, behind one wrapper
  folders.py                model folders and adapters, looked at before they are trusted
  saving.py                 model folders written: weights first, nothing of others touched
  smollm2.py                SmolLM2-135M-Instruct, converted once from a package
  models.py                 language models by name, their limits, and the Scorer around one
  scoring.py                log-probabilities and log-ratios of many responses
  training/                 one loop for supervised fine-tuning and for every loss
    loop.py                 sample, score with the reference, score with the policy, step back
    references.py           what the reference says: nothing, kept scores, or a live model
    whole_batch.py          what only a whole batch can tell: KTO's KL, BCO's delta
    flat.py                 tokenised rows in flat files, from some thousands on
    batches.py              rows, tokenised once and put together a batch at a time
    metrics.py              the loss of a batch, and what the dashboard shows of it
    settings.py             configuration, where beta comes from, order of the rows
    presets.py              the settings of the book's runs and of the commands
    start.py                everything before the first step
    memory.py               what memory a run will take, and what would fit, before it begins
    played.py               a step on tensors without content, each of its bytes counted
    machine.py              what memory a machine has, and what of it is free
    stops.py                what ends a run early, in a sentence with its likely cause
    endings.py              notes on settings that do little and on runs that end badly
    lora.py                 adapters of low rank, for models too large to train whole
    runs.py                 run folders: metrics, checkpoints, going on after being killed
    no_run.py               what stands in a run folder's place where nothing is written
    stages.py               files that are made once and remember what made them
    folders.py              whose a folder is, what a run made in it, the next free name
    fingerprints.py         what decides a result, in words, for a run that goes on
    checkpoints.py          what a checkpoint holds, with checksums
    locks.py                one process at a time, by a lock that dies with it
  processes/                several processes, as torchrun starts them: one batch, one folder
    group.py                who takes part, shares of rows, what is gathered, the first's answer
    watch.py                a process that dies or stops is noticed, and one sentence names it
    parts.py                a batch among processes, and what the loss needs of all of it
    scores.py               many responses scored, each process its share, in their order
    samples.py              many responses drawn, likewise
    shard.py                FSDP2: slices of weights, gathered to be saved
    run.py                  a run's folder, which the first has and the others hear of
  next_logits.py            logits a token at a time, by a cache or by reading all again
  sampling.py               which token is drawn, whatever the batch, and where a text ends

Doctor, the tool on the core                                    -> core
  doctor/                   is it the code, the curves or the data?
    findings.py             causes, what to do about each, and where it is taught
    case.py                 one examination: a trainer's functions, called with care
    inside.py               which tokens a score counts, found by its gradient
    heads.py                which places a head was fed, where it gets some of them only
    places.py               where labels stand: one offset for all rows, and own places
    window.py               where a response lies in its row of token ids
    context.py              what stands before a response, and the seam between them
    verdict.py              what is scored before, behind and within it
    responses.py            what is scored against what should be, by token ids
    alone.py                a pair alone, twice, beside others; the reference at the start
    adapters.py             LoRA's own dropout: when it is on, and off for all other checks
    rows.py                 the reference's numbers in any other order of rows
    shape.py                the loss as a function of each argument, and its beta
    named.py                the beta that a loss's code names
    watch.py                one call of `step`: gradients, what the optimizer gets, moves
    one_step.py             what each response adds to a step's gradient, and what it should
    added.py                a term that a step adds to its loss: RPO's NLL
    steps.py                some steps: what moves, what doesn't, how far
    meant.py                means, and prompts on both sides: the loss tells what is meant
    probe.py                `check`: experiments on any trainer's own functions
    ours.py                 the same on this package, before the first step of a run
    trl.py                  `check_trl`: TRL's trainer, examined and left as it was
    trl_probe.py            its own methods as the functions that `check` wants
    trl_settings.py         what TRL's settings and tokenised rows say before a step
    logs.py                 a run's log, ours or TRL's: steps, spans, settings beside it
    curves.py               such a log read as causes, and what it can't tell
    beginning.py            a run's first row: are rewards 0, is the loss what it must be?
    evaluated.py            dropout or another reference: what evaluations and the course say
    scale.py                a first loss that is a multiple: padding or accumulation
    signs.py                the whole log: not finite, counters, flat lines, the course
    files.py                what is in a file of rows: counts, lengths, contradictions
    hooks.py                how trainers in three styles are connected to the probe

Fast, the Scorer's answers from less work                       -> core
  fast/                     shared prompts, packed rows, a chunked head; what a model allows
    scorer.py               the Scorer of the fast path
    layout.py               a prompt once for all its responses, groups side by side in rows
    head.py                 the head where something is scored, never tokens times vocabulary
    tricks.py               which tricks an architecture takes, and up to which length
    probe.py                both ways compared on a run's longest rows, before its first step
    optimizer.py            AdamW in one pass, the clipping inside
    precision.py            float32 products by the faster way, where they stay float32

Roads, other ways than DPO on a file of pairs                   -> core
  rlhf/                     the road that DPO avoids
    reward_model.py         a reward model fitted to pairs
    parts.py                PPO's rewards, advantages and clipped losses
    loop.py                 PPO: sample, score, estimate advantages, take clipped steps
  judges.py                 who compares two responses or scores several; each from the other
  rounds.py                 iterated and online DPO, sDPO, DNO
  feedback.py               Zephyr's recipe: responses, a judge, pairs, DPO

World, where everything is known exactly                        -> nothing, but world/tiny -> core
  world/                    reviews, written by a grammar, and a true reward
    grammar.py              words and habits: what prompts ask, how authors write
    truth.py                the true reward of any text
    automaton.py            all replies as paths, and the exact policies on them
    reviews.py              the full review world, and the mini world, which can be listed
    labellers.py            who prefers what, and rows drawn from it
    tiny.py                 the tokenizer, one token a word, and the GPT-2 that trains in seconds

Laboratory, how the book measures                               -> core, doctor, roads, world
  lab/                      measuring, recording, drawing
    evaluation.py           true reward, KL, accuracy, intervals, figures at equal KL
    records.py              what a study found, and a figure made again against it
    studies.py              points, who makes them, and the record that grows
    tables.py               tables with aligned columns, and verdicts on a chapter's claims
    costs.py                what work costs: seconds, bytes moved, bytes kept
    needs.py                what some chapters need besides: looked for, in Colab installed
    plots.py                the book's style, and pictures that several chapters share
    figures/                single chapters' figures, drawn from what their cells computed
      landing.py            the website's first page: trained policies under the frontier
      ch00.py               00: the course of the loss, and the run under the frontier
      ch01.py               01: model against grammar, and what a token costs
      ch02.py               02: the fit of the scores, and the ceiling of labels
      ch03.py               03: the climb, the paths of a recursion, the frontier
      ch04.py               04: the formula taken apart, and one step of one pair
      ch05.py               05: the loss of SFT, and references by their gap to the grammar
      ch06.py               06: a healthy run beside three that are not
      ch07.py               07: the sweep under the frontier, and broken texts apart
      ch08.py               08: PPO's parts, and both roads under the frontier
      ch09.py               09: what falls, beside the optimum's own fall
      ch10.py               10: losses as landscapes, and two gradients that look alike
      ch11.py               11: paths under the frontier, and runs that stop or don't
      ch12.py               12: certainty against margins, and paths out to the disaster
      ch13.py               13: two value functions, and shares of thumbs up
      ch14.py               14: lengths under the optimum's own, and KL step by step
      ch15.py               15: ways to spend labels at equal KL, and which pairs teach
      ch16.py               16: ways through the pairs, under the frontier
      ch17.py               17: paths of a game, and methods by exploitability and KL
      ch18.py               18: the best of equal methods, and the tournament by problem
      ch19.py               19: judges by agreement and by what they teach, on a root axis
      ch20.py               20: how far people agree, and which scorers order pairs as they do
      ch21.py               21: a roofline, who looks at whom in a packed row, the stack of tricks
      ch22.py               22: the gallery's curves, and ten runs without a name
      workshop.py           what a class chose, pair by pair, under the ceiling
    exercises/              a reader's attempt judged by what it gives, and the mistake named
      verdicts.py           what a check says, and what every exercise is
      attempts.py           a function called with care: on copies, within ten seconds
      values.py             what came back, as numbers; its type, dtype and shape
      functions.py          exercises that ask for a function
      answers.py            exercises that ask for numbers, or a choice with its reason
      slips.py              the mistake behind what a function gave
      common.py             slips that any number, argument or result can suffer
      solved.py             what was solved on this machine, and its drawing
      best.py               07: the KL of best-of-n to what it samples
      capstone.py           a run to repair, a loss of one's own and a run of it, a judge
      capstone_loss.py      a new loss, by the demands that the registry's own have to meet
      capstone_trainer.py   a repaired trainer, marked by the doctor and by what moves
      workshop.py           the workshop's: a choice, Z, the loss, a step, a count of judgements
      quiz.py               forty questions, a letter each, from the teacher's file
      ch00.py               00: the loss, by hand; which way beta works; swapped columns
      ch00_by_hand.py       00: the loss of one pair by hand, and with its labels swapped
      ch00_runs.py          00: which way beta works, and swapped columns, both trained
      ch01.py               01: tokens' and texts' log-probabilities, the chain rule, a seam
      ch01_replies.py       01: one word of a reply, and the chain rule
      ch01b.py              01: what bfloat16 costs, and a seam that merges
      ch02.py               02: Bradley-Terry from labels, and which contradiction is enough
      ch02_labels.py        02: how many labels agree with the true reward
      ch02b.py              02: a labeller who flips, and twenty labels spent well
      ch03.py               03: the Gibbs optimum, backwards, twice; the other KL
      ch03_functions.py     03: what asks for a function: the optimum, and optimising again
      ch03_other_kl.py      03: how both KL divergences grow as beta falls
      ch04.py               04: the DPO loss, its derivation by numbers, no reference, rankings
      ch04_forget.py        04: where the loss without a reference leads
      ch04_pair.py          04: the loss of a pair
      ch04_ranking.py       04: the loss of a ranking
      ch05.py               05: SFT's loss, perplexity, mixed batches, the prompt in the loss
      ch05_loss.py          05: the loss of SFT, one number a text
      ch05_mixed.py         05: the length that mixed batches teach
      ch05_prompt.py        05: what prompts would cost in the loss
      ch06.py               06: a training step, a loop of one's own, a pair's weight, parts
      ch06_loss.py          06: the loss of a batch, and what it becomes with a mistake
      ch06_parts.py         06: the gradient of a batch from its parts
      ch06_step.py          06: a reader's step, told by its losses and by its moves
      ch07.py               07: parts of a KL, where to stop, best-of-n, calibration
      ch07_slope.py         07: the slope of implicit rewards over the true ones
      ch08.py               08: advantages, the first minibatch, PPO without KL, RLOO and GRPO
      ch08_ends.py          08: the ends of lambda, the first minibatch
      ch09.py               09: quotients of gradients, when the goal falls, the favourite
      ch09_numbers.py       09: when the goal falls, the favourite
      ch10.py               10: downhill in the plane, IPO in disguise, slopes
      ch10_slopes.py        10: robust DPO's slope
      ch10_table.py         10: a step on a table of logits
      ch11.py               11: cDPO, flips found from labels, two wrongs, a clean loss
      ch11_clean.py         11: a clean loss from flipped labels
      ch11_robust.py        11: robust DPO's loss
      ch11_shares.py        11: flips found from labels, two wrongs
      ch12.py               12: IPO's loss, the epsilon that is IPO, a beta for a budget
      ch12_ipo.py           12: IPO's loss, and what it is taken for
      ch12_judges.py        12: in what share of the pairs n judges agree
      ch13.py               13: KTO's mismatched rows, where BCO rests, weights for uneven thumbs
      ch13_rows.py          13: rows whose prompt has another row's response
      ch14.py               14: R-DPO's loss, the right alpha, where LN-DPO is least
      ch14_least.py         14: the least loss of LN-DPO in a small world
      ch14_r_dpo.py         14: R-DPO's loss, and what it is taken for
      ch15.py               15: whose samples, what labels cost, rounds, a judge who likes length
      ch15_runs.py          15: numbers of a reader's own runs, held against measured ones
      ch15_worth.py         15: what a label is worth about the texts you care about
      ch16.py               16: sDPO's loop, rewards that differ, the run to compare with
      ch16_loop.py          16: the loop, read by what its models give to six texts
      ch16_start.py         16: the first loss where policy and reference are exchanged
      ch17.py               17: a round of exact DNO, averages of rounds, Nash-MD
      ch17_mixture.py       17: Nash-MD, whose opponent is a mixture
      ch17_step.py          17: a round of exact DNO
      ch18.py               18: Holm's correction, looks until it works, runs that break
      ch18_leads.py         18: the lead that is seen if runs break
      ch18_others.py        18: other figures of p-values, looks, trials, broken runs
      ch19.py               19: pairs from scores, and exercises on judges
      ch19_others.py        19: other figures of scores, of two orders, of two lines
      ch19_pairs.py         19: from scores to pairs, read by how often each pair is made
      ch20.py               20: a preference from ratings, people who can tell, a rating's worth
      ch20_people.py        20: other figures of ratings and of votes
      ch21.py               21: who looks at whom in a row, and a larger model on paper
      ch21_slopes.py        21: the slope through a capped head, and what LoRA leaves to do
      ch22.py               22: ten runs without a name, a bug of one's own, another's log
      ch22_runs.py          22: what speaks against a name for one of the ten runs
      drift.py              06: five steps against a reference that moves along
      kit.py                mistakes with their names, alone and two at a time
      lettered.py           numbers, and then the letter of a reason
      loops.py              06: a very small model and a few pairs, to try a reader's code on
      ppo.py                08: PPO without its KL term, advantages without a value model
      resting.py            13: where BCO comes to rest, and where it would with mistakes
      worked.py             numbers that end a calculation, losses with their gradient
    ordering.py             which pairs a scorer puts in people's order; a list of words
    comparisons.py          many methods against one: paired tests, and what they could miss
    widgets.py              a page for labelling pairs, and a slider over pictures
    pages.py                a class's page of 30 pairs, and two models' texts judged blind
    power_laws.py           a power law with a floor, fitted to the cells of a grid
    ratings.py              people's ratings of film-review sentences, as pairs
    editions.py             the notebooks without outputs, and for students without solutions
    classroom.py            a class labels the same 30 pairs: the pairs, files put together
    class_report.py         what a class's labels say: agreement, scores, the ceiling; a sheet
    grading.py              handed-in notebooks run again, a row a student
    recorder.py             in a handed-in notebook's kernel: what its checks said
    tampering.py            a handed-in notebook's source: does it change the checks?
    run.py                  a chapter executed once, with a progress bar

Studies, a module for every record in data/results              -> all of the above
  studies/                  longer than a minute, so made once and kept
    start_here.py           00: DPO with the preset, five seeds
    references.py           05: DPO from references of four qualities
    other_references.py     05: DPO of a hasty model, held to itself or to a better one
    training_loop.py        06: a healthy run, one that is too fast, one on swapped pairs
    beta_sweep.py           07: eight values of beta, and best-of-n
    gap.py                  07: what keeps DPO under its optimum, by enumeration
    ppo_tuning.py           08: tuning grids of the reward model, PPO and DPO
    dpo_and_ppo.py          08: DPO, PPO, and one after the other
    own_samples.py          08: two scores of DPO's own samples, and its credit per token
    reading_curves.py       09: displacement, a length bias, a cue that gives labels away
    displacement.py         09: what moves a chosen response that is never stepped on
    displacement_dial.py    09: three betas by three learning rates, and displacement
    squeezing.py            09: where the probability of pushed-down responses goes
    gallery.py              22: every bug of the gallery, trained, measured, diagnosed
    doctor_on_logs.py       22: logs of TRL and ours at four logging steps, broken and healthy
    which_bug.py            22: ten runs more for the playground, four healthy, six broken
    read_a_token.py         01: a few pairs for the playground, token by token
    wrong_labels.py         11: DPO, cDPO and robust DPO on flipped labels
    batch_losses.py         11: losses that look at their whole batch
    learned_by_heart.py     11: few pairs read many times, a fifth of them flipped
    too_sure.py             12: few pairs, many epochs: DPO, cDPO and IPO
    certainty_dial.py       12: how sure the labels are, by beta, and how far margins grow
    no_pairs.py             13: KTO and BCO from thumbs, balanced or not
    length.py               14: eight methods, and labellers who like length or don't
    whose_samples.py        15: pairs by another author, the reference, the policy itself
    semi_online.py          15: how often the sampler follows, and who judges
    quality_or_gap.py       15: how good the chosen text is, against how far the rejected is below
    chi_po.py               15: a chi-squared penalty, and pairs that cover the optimum badly
    step_by_step.py         16: sDPO against DPO at a third of beta
    data_sets.py            16: sDPO on whole data sets, easy or hard ones first
    circles.py              17: a panel whose likes go in circles
    tournament.py           18: all losses, five problems, one budget
    judge_quality.py        19: Zephyr's recipe with judges of known quality
    zephyr.py               19: Zephyr's recipe on SmolLM2
    human_ratings.py        20: SmolLM2 and people's ratings
    fast_path.py            21: 200 steps of every loss with and without the fast path
    scaling.py              07: the gap to the optimum against model size and number of pairs
    gpu/                    written for a GPU
      gpt2_reviews.py       GPT-2's size, from random weights, on the review world
      scaling.py            GPT-2's shape in the study of scaling
      smollm2.py            the studies of SmolLM2 at five seeds

Commands                                                        -> all of the above
  cli/                      `dpo`
    parsing.py              the parser: help, mistakes in one line, completion by shells
    defaults.py             what applies where an option is not given, in words
    options.py              options and judges that several commands share
    train.py                dpo train
    course.py               how a run went: its first tenth beside its last, its curves
    iterate.py              dpo iterate
    feedback.py             dpo feedback
    read.py                 dpo sample, dpo score
    check.py                dpo check-data, dpo doctor, dpo fetch-human-ratings
    book.py                 dpo book
    teaching.py             dpo grade, dpo labels
  __main__.py               `python -m dpo_from_scratch` is `dpo`
"""

__version__ = "0.2.0"
