"""Says which pairs of results are the same by MATH's own comparison (is_equiv, as lm-evaluation-harness has it) and by Math-Verify, which has SymPy compare them.

Usage: check_math.py HARNESS FILE, where HARNESS is the folder that `pip download --no-deps lm-eval==0.4.13` and unzipping its wheel leave. It needs
`math-verify==0.9.0 latex2sympy2_extended==1.11.0`. The file that the tests of lm/src/data/math repeat is recorded.jsonl there; run this again to see that other
versions write the same.
"""

import importlib.util
import json
import sys
import types

from math_verify import parse, verify

sys.modules["datasets"] = types.SimpleNamespace(Dataset=object)
spec = importlib.util.spec_from_file_location("hendrycks", f"{sys.argv[1]}/lm_eval/tasks/hendrycks_math/utils.py")
hendrycks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(hendrycks)

# A reference with answers to compare with it.
PAIRS = [
    (r"\frac{1}{2}", [r"\frac12", "1/2", "0.5", ".5", r"\dfrac{1}{2}", r"\tfrac12", r"\frac{2}{4}", r"\frac{1}{3}", "2", r"\frac{1}{2}.", "50\\%", "-1/2", "\\frac1{2}"]),
    (r"-\frac{3}{4}", ["-3/4", "-0.75", r"\frac{-3}{4}", r"\frac{3}{-4}", "3/4"]),
    (r"\frac{1}{72}", [r"\frac1{72}", "1/72", r"\frac{1}{7}2"]),
    ("2\\sqrt{3}", [r"2\sqrt3", r"\sqrt{12}", r"\sqrt{3}\cdot 2", r"2\sqrt{2}", "2*sqrt(3)", r"\sqrt{3}"]),
    (r"\sqrt{2}", [r"\sqrt2", r"2^{1/2}", r"\frac{2}{\sqrt2}", "1.41421356237", "1.4"]),
    (r"\sqrt[3]{2}", [r"2^{\frac13}", r"\sqrt{2}"]),
    (r"\frac{\sqrt{3}}{3}", [r"\frac{1}{\sqrt{3}}", r"\frac{\sqrt3}3", r"\sqrt{3}/3"]),
    ("42", ["42.0", "042", "42.", r"\$42", "42\\%", r"42^\circ", r"42^{\circ}", "42 \\text{ cm}", r"42\text{ cm}^2", r"42\,\mathrm{cm}", "42 cm", "42 square units", "x=42", "x = 42", "43", "-42", r"\boxed{42}", r"\text{42}", "forty-two", "4 2"]),
    ("10000", ["10,000", r"10{,}000", r"10\,000", "10^4", r"1\times10^4", "1000", "10,00"]),
    ("3.14", [r"\pi", "3.140", "3.1400001"]),
    (r"2\pi", [r"\pi\cdot2", "2\\pi\\text{ cm}", r"\frac{4\pi}{2}", r"\pi", "6.283185307", "2pi"]),
    (r"\pi r^2", [r"r^2\pi", r"\pi r^3"]),
    ("x^2+2x+1", ["(x+1)^2", "x^2 + 2x + 1", "1+2x+x^2", "x^2+2x", "y^2+2y+1", "y=x^2+2x+1"]),
    ("(x-2)(x+3)", ["(x+3)(x-2)", "x^2+x-6", "(x-2)(x-3)"]),
    (r"\frac{x+1}{x-1}", [r"1+\frac{2}{x-1}", "(x+1)/(x-1)", r"\frac{x-1}{x+1}"]),
    ("2^{10}", ["1024", "2^10", "2^{11}"]),
    ("(1,2)", ["(1, 2)", r"\left(1,2\right)", "(2,1)", "[1,2]", "(1,2]", "1,2", r"\{1,2\}", r"(\frac{2}{2}, 2)", "(1,2,3)", "(x,y)=(1,2)"]),
    (r"\left(\frac{1}{2},3\right)", ["(0.5,3)", "(1/2, 3)", "(3, 1/2)"]),
    (r"[0,\infty)", [r"[0, \infty)", r"\left[0,\infty\right)", r"(0,\infty)", r"[0,\infty]", r"x\in[0,\infty)"]),
    (r"(-\infty,1)\cup(2,\infty)", [r"(2,\infty)\cup(-\infty,1)", r"(-\infty, 1) \cup (2, \infty)", r"(-\infty,1]\cup(2,\infty)"]),
    (r"\{1,2,3\}", [r"\{3,2,1\}", r"\left\{1,2,3\right\}", r"\{1,2\}", r"\{1,2,4\}", "1,2,3"]),
    ("1,2", ["2,1", "1, 2", r"1\text{ and }2", r"x=1\text{ or }x=2", "1,3", "1", "1,2,2"]),
    (r"1\pm\sqrt{2}", [r"1+\sqrt2, 1-\sqrt2", r"1-\sqrt{2},1+\sqrt{2}", r"1\pm\sqrt{3}", r"1+\sqrt2"]),
    (r"\text{Evelyn}", ["Evelyn", r"\textbf{Evelyn}", r"\mathrm{Evelyn}", "evelyn", r"\text{Eve}"]),
    (r"\text{(C)}", ["C", "(C)", r"\text{C}", "D"]),
    (r"\text{east}", ["east", "seat", "west"]),
    (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", [r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{bmatrix}1&2\\3&4\end{bmatrix}", r"\begin{pmatrix}1&3\\2&4\end{pmatrix}", r"\begin{pmatrix}1&2\\3&\frac82\end{pmatrix}"]),
    ("1011_2", ["1011_{2}", "1011", "1011_3", "11"]),
    (r"\frac{\pi}{4}", [r"45^\circ", r"\pi/4", r"0.25\pi", r"\frac{\pi}{3}"]),
    ("3+4i", ["4i+3", "3 + 4i", "3-4i"]),
    (r"\sin^2 x", [r"1-\cos^2x", r"(\sin x)^2", r"\sin x^2"]),
    (r"\log_2 8", ["3", r"\frac{\ln 8}{\ln 2}"]),
    (r"\binom{5}{2}", ["10", r"\frac{5!}{2!3!}", "20"]),
    (r"3\frac{1}{2}", ["3.5", "7/2", r"\frac{7}{2}", "3/2"]),
    ("x>3", ["3<x", "x > 3", r"x\ge3", "x<3"]),
    (r"1\le x\le 5", [r"5\ge x\ge1", "1<x<5"]),
    ("y=2x+3", ["2x+3", "y = 3+2x", "y=2x-3"]),
    ("x^2+y^2=4", ["x^2+y^2=4", "4=x^2+y^2", "x^2+y^2=5"]),
    ("0", ["0.0", "-0", r"\sin\pi", "1"]),
    ("12:30", ["12:30", "12:31"]),
    ("1000000000001", ["1000000000002", "1000000000001.0", "1,000,000,000,001"]),
    (r"\frac{1}{23}", [r"\frac{12}{3}", r"\frac{1}{2}3"]),
]

with open(sys.argv[2], "w") as out:
    for reference, answers in PAIRS:
        for answer in answers:
            gold, found = parse(f"\\boxed{{{reference}}}"), parse(f"\\boxed{{{answer}}}")
            said = {"is_equiv": bool(hendrycks.is_equiv(reference, answer)), "math_verify": bool(verify(gold, found))}
            print(json.dumps({"reference": reference, "answer": answer, **said}), file=out)
