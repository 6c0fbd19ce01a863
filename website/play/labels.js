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
DPO.classroom = {
"sheet": "73c599",
"questions": [
{"prompt": "film : tell me about the plot .", "words": "Film: tell me about the plot.", "texts": ["the plot was quite weak .", "the plot was very splendid ! also the villain was splendid ! so there .", "overall the villain was quite pleasant . but the script let me down ."], "pretty": ["The plot was quite weak.", "The plot was very splendid! Also the villain was splendid! So there.", "Overall, the villain was quite pleasant. But the script let me down."], "rewards": [0.386, 2.0325, -1.211], "logProbs": [-0.000182182, -9.244933364, -9.366222872]},
{"prompt": "film : and the music ?", "words": "Film: and the music?", "texts": ["the villain was dull ! i saw it on a sunday . so there .", "the cast was not dull . but the script bored me . thank you .", "overall the ending was pleasant . and the script was memorable ."], "pretty": ["The villain was dull! I saw it on a sunday. So there.", "The cast was not dull. But the script bored me. Thank you.", "Overall, the ending was pleasant. And the script was memorable."], "rewards": [-2.25, -0.055, 1.06], "logProbs": [-0.024143032, -4.292545167, -4.586953944]},
{"prompt": "film : how was the villain ?", "words": "Film: how was the villain?", "texts": ["the music delighted me ! ask someone else .", "the villain was dreary ! it was my second time . the villain was dull .", "the villain was better than it had to be !"], "pretty": ["The music delighted me! Ask someone else.", "The villain was dreary! It was my second time. The villain was dull.", "The villain was better than it had to be!"], "rewards": [-0.31, -1.34, 1.265], "logProbs": [-3.044889084, -7.911295152, -0.049156811]},
{"prompt": "restaurant : how was the bread ?", "words": "Restaurant: how was the bread?", "texts": ["honestly the bread was memorable . ask someone else .", "we came on a rainy evening . the soup was fresh . ask someone else .", "honestly the soup bored me ! the wine was dreadful ! so there ."], "pretty": ["Honestly, the bread was memorable. Ask someone else.", "We came on a rainy evening. The soup was fresh. Ask someone else.", "Honestly, the soup bored me! The wine was dreadful! So there."], "rewards": [0.64, -0.87, -3.565], "logProbs": [-0.320888534, -1.293749617, -8.27296014]},
{"prompt": "restaurant : tell me about the dessert .", "words": "Restaurant: tell me about the dessert.", "texts": ["it was my second time . the waiter was quite awful !", "the terrace was very cosy .", "the dessert was very fresh ! the terrace was quite weak . thanks for asking ."], "pretty": ["It was my second time. The waiter was quite awful!", "The terrace was very cosy.", "The dessert was very fresh! The terrace was quite weak. Thanks for asking."], "rewards": [-1.41, 0.725, 1.961], "logProbs": [-3.434156961, -0.032959579, -8.681231174]},
{"prompt": "hotel : how was the room ?", "words": "Hotel: how was the room?", "texts": ["overall the room was not dull . thanks for asking .", "the room was very dull . the staff was quite tiresome . thank you .", "the room was worth the trip . the breakfast was fresh . thanks for asking ."], "pretty": ["Overall, the room was not dull. Thanks for asking.", "The room was very dull. The staff was quite tiresome. Thank you.", "The room was worth the trip. The breakfast was fresh. Thanks for asking."], "rewards": [1.94, 0.0415, 3.105], "logProbs": [-0.080718333, -4.261713578, -2.757528349]},
{"prompt": "hotel : and the pool ?", "words": "Hotel: and the pool?", "texts": ["the pool won me over . and the breakfast was good . thank you .", "overall the staff let me down . thanks for asking .", "the view was truly dull . also the bed was not lovely ."], "pretty": ["The pool won me over. And the breakfast was good. Thank you.", "Overall, the staff let me down. Thanks for asking.", "The view was truly dull. Also the bed was not lovely."], "rewards": [2.895, -0.425, -2.006], "logProbs": [-1.789665623, -0.190969374, -4.987001201]},
{"prompt": "hotel : how was the staff ?", "words": "Hotel: how was the staff?", "texts": ["the staff bored me . but the bed won me over !", "the staff was truly tiresome ! and the room was poor . ask someone else .", "overall the pool was truly lovely . but the room was lovely ."], "pretty": ["The staff bored me. But the bed won me over!", "The staff was truly tiresome! And the room was poor. Ask someone else.", "Overall, the pool was truly lovely. But the room was lovely."], "rewards": [0.5, -2.652, 1.634], "logProbs": [-0.156231446, -2.034868159, -4.272914731]},
{"prompt": "book : tell me about the style .", "words": "Book: tell me about the style.", "texts": ["the style was superb . but the narrator was good ! the style was pleasant .", "the style was very poor ! the cover was not clever . that is all .", "my sister gave it to me . the opening let me down ! so there ."], "pretty": ["The style was superb. But the narrator was good! The style was pleasant.", "The style was very poor! The cover was not clever. That is all.", "My sister gave it to me. The opening let me down! So there."], "rewards": [2.82, -1.2555, -2.625], "logProbs": [-9.11423665, -3.945736385, -0.019638641]},
{"prompt": "book : and the cover ?", "words": "Book: and the cover?", "texts": ["the cover was very dull . thanks for asking .", "my sister gave it to me . the cover bored me ! that is all .", "the style was a waste of money !"], "pretty": ["The cover was very dull. Thanks for asking.", "My sister gave it to me. The cover bored me! That is all.", "The style was a waste of money!"], "rewards": [0.7875, -0.495, -1.52], "logProbs": [-0.542892583, -3.161451391, -0.976649334]}
],
"asked": [
{"question": 0, "sides": [0, 1], "pair": 1},
{"question": 0, "sides": [0, 2], "pair": 2},
{"question": 0, "sides": [1, 2], "pair": 3},
{"question": 1, "sides": [0, 1], "pair": 4},
{"question": 1, "sides": [0, 2], "pair": 5},
{"question": 1, "sides": [1, 2], "pair": 6},
{"question": 2, "sides": [0, 1], "pair": 7},
{"question": 2, "sides": [0, 2], "pair": 8},
{"question": 2, "sides": [1, 2], "pair": 9},
{"question": 3, "sides": [0, 1], "pair": 10},
{"question": 3, "sides": [0, 2], "pair": 11},
{"question": 3, "sides": [1, 2], "pair": 12},
{"question": 4, "sides": [0, 1], "pair": 13},
{"question": 4, "sides": [0, 2], "pair": 14},
{"question": 4, "sides": [1, 2], "pair": 15},
{"question": 5, "sides": [0, 1], "pair": 16},
{"question": 5, "sides": [0, 2], "pair": 17},
{"question": 5, "sides": [1, 2], "pair": 18},
{"question": 6, "sides": [0, 1], "pair": 19},
{"question": 6, "sides": [0, 2], "pair": 20},
{"question": 6, "sides": [1, 2], "pair": 21},
{"question": 7, "sides": [0, 1], "pair": 22},
{"question": 7, "sides": [0, 2], "pair": 23},
{"question": 7, "sides": [1, 2], "pair": 24},
{"question": 8, "sides": [0, 1], "pair": 25},
{"question": 8, "sides": [0, 2], "pair": 26},
{"question": 8, "sides": [1, 2], "pair": 27},
{"question": 9, "sides": [0, 1], "pair": 28},
{"question": 9, "sides": [0, 2], "pair": 29},
{"question": 9, "sides": [1, 2], "pair": 30}
]
};
