// Made by website/play/make.py from the package: don't edit.
DPO.world = {
"prompt": "Film: how was the plot?",
"of": 2812,
"texts": [
"The plot was truly superb.",
"The plot delighted me.",
"The plot was lovely.",
"The plot was worth the trip.",
"The plot won me over.",
"The plot was clever.",
"The plot was good!",
"The plot was good.",
"Honestly, the script was very superb!",
"The plot was pleasant.",
"The plot was better than it had to be.",
"The cast was truly memorable!",
"The music was good.",
"Overall, the ending was not dreadful.",
"The plot was weak.",
"Honestly, the villain was not poor!",
"Overall, the ending was quite clever.",
"Overall, the ending was not clumsy!",
"The plot was dull!",
"The plot was dull.",
"The plot was clumsy.",
"The plot bored me.",
"The plot was poor.",
"The plot made me check my watch.",
"The plot let me down.",
"The plot was dreary.",
"A friend had told me about it.",
"The plot was dreadful.",
"Overall, the plot was very poor.",
"The plot was a waste of money.",
"The villain was weak.",
"The villain was tiresome.",
"Honestly, the music was not splendid!",
"The music was not superb!",
"The music was quite dreadful!",
"The script was quite dreadful!",
"Honestly, the cast made me check my watch.",
"Honestly, the script made me check my watch!",
"Honestly, the ending was a waste of money!",
"The cast was truly dreadful."
],
"lengths": [
7,
6,
6,
8,
7,
6,
6,
6,
8,
6,
11,
7,
6,
8,
6,
8,
8,
8,
6,
6,
6,
6,
6,
9,
7,
6,
9,
6,
8,
9,
6,
6,
8,
7,
7,
7,
10,
10,
10,
7
],
"rewards": [
2.57,
1.84,
1.71,
1.675,
1.595,
1.58,
1.45,
1.45,
1.325,
1.32,
1.265,
1.206,
0.45,
0.402,
0.28,
0.246,
0.246,
0.168,
0.15,
0.15,
0.02,
-0.045,
-0.11,
-0.13,
-0.225,
-0.24,
-0.35,
-0.37,
-0.4375,
-0.52,
-0.72,
-0.98,
-1.002,
-1.03,
-1.069,
-1.069,
-1.18,
-1.18,
-1.57,
-1.888
],
"logProbs": {
"house": [-5.087772512229, -3.272432854915, -3.372974084137, -3.272432854915, -3.272432854915, -3.255191048481, -3.734764128743, -2.887466268356, -9.084953325998, -3.660656156589, -3.272432854915, -7.321364733736, -4.49690418079, -7.989194106312, -3.660656156589, -8.366488337453, -7.678039677675, -8.248705301797, -3.734764128743, -2.887466268356, -3.255191048481, -3.272432854915, -3.372974084137, -3.272432854915, -3.272432854915, -3.842977713383, -1.361340712463, -3.842977713383, -5.935070372616, -3.272432854915, -5.270094069023, -4.864628960915, -8.836491966699, -7.519190477066, -7.572679162017, -7.572679162017, -6.422315808297, -7.269613668684, -7.269613668684, -6.474066873349],
"gloomy": [-7.265355396667, -5.450015739354, -5.550556968576, -5.450015739354, -5.450015739354, -5.432773932919, -4.659584044686, -5.065049152794, -8.911160953272, -5.838239041027, -5.450015739354, -7.147572361011, -5.57587477656, -9.068164702082, -4.262702680269, -8.192695964728, -8.757010273445, -8.074912929072, -3.084047683927, -3.489512792035, -3.857237572161, -3.874479378595, -3.975020607817, -3.874479378595, -3.874479378595, -4.445024237063, -0.404789000488, -4.445024237063, -6.537116896296, -3.874479378595, -4.773528304035, -4.368063195927, -7.087163233216, -5.769861743583, -5.823350428534, -5.823350428534, -5.925750043308, -5.5202849352, -5.5202849352, -5.977501108361]
}
};
DPO.registry = {
"dpo": {
"title": "Direct Preference Optimization",
"equation": "-log sigmoid(m)",
"paper": "2305.18290",
"defaults": {"beta": 0.1}
},
"cdpo": {
"title": "Conservative DPO",
"equation": "-(1-eps) log sigmoid(m) - eps log sigmoid(-m)",
"paper": "ericmitchell.ai/cdpo.pdf",
"defaults": {"beta": 0.1, "label_smoothing": 0.1}
},
"robust_dpo": {
"title": "Provably robust DPO",
"equation": "[-(1-eps) log sigmoid(m) + eps log sigmoid(-m)] / (1-2eps)",
"paper": "2403.00409",
"defaults": {"beta": 0.1, "label_smoothing": 0.1}
},
"ipo": {
"title": "Identity Preference Optimization",
"equation": "(Delta - 1/(2 tau))^2",
"paper": "2310.12036",
"defaults": {"tau": 0.1}
},
"hinge": {
"title": "Hinge (RSO)",
"equation": "max(0, 1 - m)",
"paper": "2309.06657",
"defaults": {"beta": 0.1}
},
"exo": {
"title": "Efficient Exact Optimization",
"equation": "KL((sigmoid(m), sigmoid(-m)) || (1-eps, eps))",
"paper": "2402.00856",
"defaults": {"beta": 0.1, "label_smoothing": 0.001}
},
"nca": {
"title": "Noise Contrastive Alignment",
"equation": "-log sigmoid(r_w) - 1/2 log sigmoid(-r_w) - 1/2 log sigmoid(-r_l)",
"paper": "2402.05369",
"defaults": {"beta": 0.01}
},
"apo_zero": {
"title": "Anchored PO, zero",
"equation": "1 - sigmoid(r_w) + sigmoid(r_l)",
"paper": "2408.06266",
"defaults": {"beta": 0.1}
},
"apo_down": {
"title": "Anchored PO, down",
"equation": "sigmoid(r_w) + 1 - sigmoid(r_w - r_l)",
"paper": "2408.06266",
"defaults": {"beta": 0.1}
},
"sppo": {
"title": "Self-Play Preference Optimization",
"equation": "(rho_w - 1/(2 beta))^2 + (rho_l + 1/(2 beta))^2",
"paper": "2405.00675",
"defaults": {"beta": 0.001}
},
"bco_pair": {
"title": "Binary Classifier Optimization, pairs",
"equation": "-log sigmoid(r_w - delta) - log sigmoid(delta - r_l)",
"paper": "2404.04656",
"defaults": {"beta": 0.1}
},
"dno": {
"title": "Direct Nash Optimization",
"equation": "-p log sigmoid(m) - (1-p) log sigmoid(-m)",
"paper": "2404.03715",
"defaults": {"beta": 0.1}
},
"soft_dpo": {
"title": "DPO with soft labels",
"equation": "-p log sigmoid(m) - (1-p) log sigmoid(-m)",
"paper": "ericmitchell.ai/cdpo.pdf",
"defaults": {"beta": 0.1}
},
"dpop": {
"title": "DPO-Positive",
"equation": "-log sigmoid(beta (Delta - penalty max(0, -rho_w)))",
"paper": "2402.13228",
"defaults": {"beta": 0.3, "penalty": 50.0}
},
"r_dpo": {
"title": "Length-regularised DPO",
"equation": "-log sigmoid(m + alpha (|y_w| - |y_l|))",
"paper": "2403.19159",
"defaults": {"beta": 0.1, "alpha": 0.01}
},
"length_normalized_dpo": {
"title": "Length-normalised DPO",
"equation": "-log sigmoid(beta (rho_w/|y_w| - rho_l/|y_l|))",
"paper": "2411.15124",
"defaults": {"beta": 5.0}
},
"f_dpo": {
"title": "f-DPO",
"equation": "-log sigmoid(beta f'(e^rho_w) - beta f'(e^rho_l))",
"paper": "2309.16240",
"defaults": {"beta": 0.1, "divergence": "reverse_kl", "alpha": 0.5}
},
"chi_po": {
"title": "Chi-squared Preference Optimization",
"equation": "-log sigmoid(beta (phi(rho_w) - phi(rho_l))), phi(rho) = rho + e^rho",
"paper": "2407.13399",
"defaults": {"beta": 0.1}
},
"discopop": {
"title": "DiscoPOP",
"equation": "(1-s) log(1 + e^-m) + s e^-m, s = sigmoid(m/tau)",
"paper": "2406.08414",
"defaults": {"beta": 0.05, "tau": 0.05}
},
"aot": {
"title": "Alignment via Optimal Transport",
"equation": "-log sigmoid(beta (sort(ell_w-ell_l) - sort(ref_w-ref_l)))",
"paper": "2406.05882",
"defaults": {"beta": 0.01}
},
"simpo": {
"title": "SimPO",
"equation": "-log sigmoid(beta (ell_w/|y_w| - ell_l/|y_l|) - gamma)",
"paper": "2405.14734",
"defaults": {"beta": 2.0, "gamma": 1.0}
},
"orpo": {
"title": "ORPO",
"equation": "-ell_w/|y_w| - weight log sigmoid(log odds_w - log odds_l)",
"paper": "2403.07691",
"defaults": {"weight": 0.1}
},
"cpo": {
"title": "Contrastive Preference Optimization",
"equation": "-log sigmoid(beta (ell_w - ell_l)) - nll_weight ell_w",
"paper": "2401.08417",
"defaults": {"beta": 0.1, "nll_weight": 0.0}
},
"sft": {
"title": "Supervised fine-tuning",
"equation": "-log pi(y|x)",
"paper": "2203.02155",
"defaults": {}
}
};
