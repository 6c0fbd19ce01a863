// Made by website/play/make.py from the package: don't edit.
DPO.questions = [
{
"prompt": "restaurant : how was the soup ?",
"words": "Restaurant: how was the soup?",
"texts": ["a friend had told me about it . overall the bread was quite lovely .", "honestly the wine was very good . we came on a rainy evening . the soup was quite superb ! and the dessert made me check my watch . thank you .", "the dessert was truly memorable . the wine was worth the trip . it was my second time . that is all .", "the soup was quite weak .", "the waiter delighted me . the terrace was very pleasant . ask someone else ."],
"pretty": ["A friend had told me about it. Overall, the bread was quite lovely.", "Honestly, the wine was very good. We came on a rainy evening. The soup was quite superb! And the dessert made me check my watch. Thank you.", "The dessert was truly memorable. The wine was worth the trip. It was my second time. That is all.", "The soup was quite weak.", "The waiter delighted me. The terrace was very pleasant. Ask someone else."],
"rewards": [-0.013, 1.5925, 1.481, 0.386, 0.09],
"logProbs": [-4.367118117, -21.775633889, -10.843283203, -0.013262359, -7.668082442]
},
{
"prompt": "film : and the cast ?",
"words": "Film: and the cast?",
"texts": ["overall the music was very dull ! and the cast made me check my watch . thank you .", "the cast was awful . it was my second time .", "the cast was not dull . but the plot bored me . thank you .", "the cast was very good . the ending was clever . the villain was better than it had to be . and the music was clever .", "the villain was dull ! i saw it on a sunday . so there ."],
"pretty": ["Overall, the music was very dull! And the cast made me check my watch. Thank you.", "The cast was awful. It was my second time.", "The cast was not dull. But the plot bored me. Thank you.", "The cast was very good. The ending was clever. The villain was better than it had to be. And the music was clever.", "The villain was dull! I saw it on a sunday. So there."],
"rewards": [-0.3925, -0.75, 0.945, 2.9375, -2.25],
"logProbs": [-8.276288529, -0.093105202, -5.089541777, -15.676655753, -2.495116075]
}
];
DPO.asked = [
{
"question": 1,
"sides": [3, 0],
"shipped": 0
},
{
"question": 1,
"sides": [1, 3],
"shipped": 1
},
{
"question": 0,
"sides": [4, 3],
"shipped": 1
},
{
"question": 0,
"sides": [1, 2],
"shipped": 0
},
{
"question": 1,
"sides": [4, 1],
"shipped": 1
},
{
"question": 0,
"sides": [2, 0],
"shipped": 0
},
{
"question": 1,
"sides": [4, 2],
"shipped": 1
},
{
"question": 0,
"sides": [0, 4],
"shipped": 0
},
{
"question": 0,
"sides": [1, 0],
"shipped": 0
},
{
"question": 0,
"sides": [4, 2],
"shipped": 1
},
{
"question": 0,
"sides": [2, 3],
"shipped": 1
},
{
"question": 0,
"sides": [4, 1],
"shipped": 1
},
{
"question": 0,
"sides": [1, 3],
"shipped": 0
},
{
"question": 1,
"sides": [1, 0],
"shipped": 0
},
{
"question": 1,
"sides": [3, 2],
"shipped": 0
},
{
"question": 0,
"sides": [3, 0],
"shipped": 0
},
{
"question": 1,
"sides": [2, 1],
"shipped": 0
},
{
"question": 1,
"sides": [0, 2],
"shipped": 1
},
{
"question": 1,
"sides": [0, 4],
"shipped": 0
},
{
"question": 1,
"sides": [4, 3],
"shipped": 1
}
];
