"""Attempts at the quiz: each question's letters, as its file says them."""

from dpo_from_scratch.lab.exercises import quiz

RIGHT, WRONG = {}, {}
for number, question in quiz.numbered():
    told = list(zip(quiz.LETTERS, quiz.answers(number, question), strict=True))
    (right,) = (letter for letter, (_, why) in told if not why)
    RIGHT[f"Q.{number}"] = [right, right.upper()]
    WRONG[f"Q.{number}"] = [(letter, why) for letter, (_, why) in told if why]
