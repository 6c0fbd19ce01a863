"""Three more commands for tests/kill_at_random.py."""
import sys, random
sys.path.insert(0, "")
import kill_at_random as k
from pathlib import Path
from dpo_from_scratch import feedback, rounds, world
from dpo_from_scratch.lab.studies import Study
from dpo_from_scratch.models import load_model
from dpo_from_scratch.training import TrainConfig
from dpo_from_scratch.training.folders import recorded

def config(): return TrainConfig(**k.SETTINGS | {"save_every": 2})

def in_rounds(folder):
    model, tokenizer = load_model("tiny")
    rows = [{"prompt": p} for p in world.prompts("train")[:8]]
    rows_of = rounds.plan("iterated", model, tokenizer, rows, world.bradley_terry, 2, config())
    rounds.in_rounds(model, tokenizer, 2, rows_of, config(), True, folder, recorded(folder) is not None, False)

def ai_feedback(folder):
    model, tokenizer = load_model("tiny")
    judge = lambda prompt, texts: world.rewards(prompt, texts)
    feedback.pipeline(folder, model, tokenizer, world.prompts("train")[:6], judge, "worst", 2, config(), "rewards")

def study(folder):
    made = Study("studies/squares.py", "Squares")
    made.path = folder / "squares.json"
    @made.points([{"x": x} for x in range(12)])
    def square(x):
        return {"y": len(world.make_pairs(40, seed=x)[0]["chosen"])}
    made.make()

k.COMMANDS = {"iterate": in_rounds, "feedback": ai_feedback, "study": study}
real = k.content
k.content = lambda folder: {n: b for n, b in real(folder).items() if not n.endswith(".lock") and n != "squares.json"} | {
    n: str([p for p in __import__("json").loads(b)["points"]]).encode() for n, b in real(folder).items() if n == "squares.json"}
done = k.main(int(sys.argv[1]), int(sys.argv[2]))
print(sum(not r["well"] for r in done), "of", len(done), "ended otherwise")
