# ruff: noqa: RUF001
"""Equations in text: what is found, what holds, and what is left alone."""

import pytest

from strategies.verifiers.equations import equations

HOLDS = r"""
3 + 4 = 7
3+4=7
6 × 7 = 42
84 ÷ 2 = 42
10 − 3 = 7
10 – 3 = 7
2 · 3 = 6
2 ∗ 3 = 6
2 ⋅ 3 = 6
6 \times 7 = 42
6 \cdot 7 = 42
84 \div 2 = 42
\frac{48}{2} = 24
\dfrac{1}{2} + \dfrac{1}{2} = 1
\left(3 + 4\right) \times 2 = 14
\$48 / 2 = \$24
$48 / 2 = $24
$48 / 2 = 24$
$$48 / 2 = 24$$
20\% \times 50 = 10
3^2 = 9
3^{2} = 9
3² = 9
2^{10} = 1024
2^3^2 = 512
\sqrt{16} + 1 = 5
√16 + 1 = 5
5 \text{ apples} + 3 \text{ apples} = 8 \text{ apples}
1\,000 + 2\,500 = 3\,500
1{,}000 + 2{,}500 = 3{,}500
**3 + 4 = 7**
**3** + **4** = **7**
**5** * **3** = **15**
*3 + 4 = 7*
3 * 4 = **12**
48/2 = 24 clips
5 apples + 3 apples = 8 apples
50 (apples) + 79 (apples) = 129
20% of 50 = 10
20 percent of 50 = 10
30% of $320 = $96
1/2 of 10 = 5
50 * 20% = 10
100% - 20% = 80%
100% - 20% = 80
30 / 100 * 100 = 30%
10/50 = 20%
1/3 = 33.3%
0.2 * 50 = 10.0
.5 + .5 = 1
1,000 + 2,500 = 3,500
1,234,567 + 1 = 1,234,568
10 / 3 = 3.33
20 / 3 = 6.67
20 / 3 = 6.66
20 / 3 ≈ 6.7
20 / 3 \approx 7
1/3 = 0.333...
1000 / 7 ≈ 140
2 * (3 + 4) = 14
2(3 + 4) = 14
(3)(4) = 12
[3 + 4] * 2 = 14
-3 + 5 = 2
5 - -3 = 8
5 + (-3) = 2
5 - (-3) = 8
2 * -3 = -6
2^3 = 8
2**3 = 8
2 ** 3 = 8
1/2 + 1/4 = 3/4
x = 3 + 4 = 7
y = 2 * 3 = 6
Total cost = 5 * 8 + 6 = 46
Total cost: 5 * 8 + 6 = 46
Sale price = Original price \times (1 - 0.30) = 320 \times 0.70 = 224
\text{Total} = 5 \times 8 = 40
Step 1: 3 + 4 = 7
1. 3 + 4 = 7
1) 3 + 4 = 7
(1) 3 + 4 = 7
a) 3 + 4 = 7
- 3 + 4 = 7
* 3 + 4 = 7
• 3 + 4 = 7
- -3 + 5 = 2
- 3 + 5 = 2
> 3 + 4 = 7
### 3 + 4 = 7
The sum is 3 + 4 = 7.
So we get 3 + 4 = 7, which is odd.
First, 3 + 4 = 7 (since 4 is 3 + 1)
(3 + 4 = 7)
That leaves \(12 - 5 = 7\) apples.
\[ 12 - 5 = 7 \]
12 - 5 = <answer>7</answer>
12 - 5 = \boxed{7}
\boxed{12 - 5 = 7}
€5 + €3 = €8
£5 + £3 = £8
5€ + 3€ = 8€
3 plus 4 equals 7
3 plus 4 is equal to 7
3 times 4 = 12
12 divided by 4 = 3
3 multiplied by 4 = 12
5 x 3 = 15
5x3 = 15
5 packs x $8 = $40
60 km/hour * 2 hours = 120 km
60 km per hour * 2 hours = 120 km
$5/pack * 3 packs = $15
8 hours a day * 5 days = 40 hours
2 hours * 60 = 120 minutes
120 minutes / 60 = 2 hours
3 m * 4 = 12 m
4 cm * 6 cm = 24 cm^2
17 // 5 = 3
17 mod 5 = 2
16 / 5 = 3.2 litres
7 = 3 + 4
3 + 4 == 5 or 3 + 4 = 7
x > 3 + 4 = 7
15 / 5 = 3 remainder 0
0.1 + 0.2 = 0.3
Great! 3 + 4 = 7
What is it? 3 + 4 = 7
| 3 + 4 = 7 |
a total of 3 * 4 = 12
10 * 5 = 50%
"3 + 4 = 7"
5 boxes + 3 = 8
\text{Total cost} = \$72 \, \text{(apples)} + \$8 \, \text{(bag)} = \$80
\[ 240 \text{ km} \text{ (first 4 hours)} + 160 \text{ km} \text{ (next 4 hours)} = 400 \text{ km} \]
\$100 \text{ (paid money)} - \$54 \text{ (cost of stickers)} = \$46
60 (minutes) * 2 = 120 (minutes)
\text{Cost of sugar} = 2 \, \text{bags} \times 1.40 \, \text{\$/bag} = 2.80 \, \text{\$}
\[ 15 \text{ hens/day} \times 1 \text{ egg/hen/day} = 15 \text{ eggs/day} \]
""".strip().splitlines()

FAILS = r"""
3 + 4 = 8
3+4=8
6 × 7 = 41
\frac{48}{2} = 23
$48 / 2 = $25
20% of 50 = 11
50 * 20% = 1000
100% - 20% = 70%
1,000 + 2,500 = 3,600
10 / 3 = 3.5
10 / 3 = 3.32
20 / 3 ≈ 8.1
2 * (3 + 4) = 10
-3 + 5 = -2
5 - -3 = 2
2^3 = 6
1/2 + 1/4 = 2/6
x = 3 + 4 = 8
5 apples + 3 apples = 9 apples
Step 1: 3 + 4 = 8
1. 3 + 4 = 8
- 3 + 4 = 8
48/2 = 23 clips
The sum is 3 + 4 = 8.
12 - 5 = <answer>8</answer>
12 - 5 = \boxed{8}
3 plus 4 equals 8
6 hours/day * 8 days = 49 hours
60 km/hour * 2 hours = 130 km
8 hours * 5 days = 42 hours
7.5 * 2 = 14
100 / 8 = 13.5
0.33 * 50 = 17.5
17 mod 5 = 3
**12 - 5 = 8**
2 packs * 2 = 0
The total number of eggs sold at $4/egg is 22 x 4 = 84.
The two friends get 12 * 14 = 180 pebbles from the first box and 180 more
\(0.03 \times 4,500 = 150\)
6 \, \text{hours/day} \times 10 \, \text{days} \times \$19.50 \,/\, hour = \$1290
""".strip().splitlines()

UNTESTABLE = r"""
2x + 3 = 7
x + 3 = 7
3 + x = 7
3x = 12
2 x + 3 = 7
3n + 2 = 17
(a + 3) * 2 = 10
x_1 + 3 = 7
x1 + 3 = 7
f(2) = 4
f(2 + 3) = 4
P(3) + 1 = 5
n = 7
2 hours = 120 minutes
3 m = 300 cm
1 hour + 30 minutes = 90 minutes
1 hour + 30 minutes = 31 minutes
90 minutes * 2 = 3 hours
60 km/hour * 30 minutes = 30 km
3 km / 500 m = 6
5 * 20 cents = $1
2 hours + 30 = 2 hours 30 minutes
10:30 + 2 = 12:30
10 am + 3 = 1 pm
8 + 7 = 3 pm
17 / 5 = 3 remainder 2
17 / 5 = 3 R 2
17 / 5 = 3
17 % 5 = 2
17 % 5 = 3
7 / 2 = 4
3 + 4 = ?
? + 4 = 7
3 + ? = 7
3 + 4 = __
3 + 4 = 7?
5! = 120
3! + 1 = 7
3 + 4 == 8
3 + 4 >= 8
3 + 4 != 8
3 + 4 ≠ 8
3 + 4 \neq 8
3 + 4 ≤ 8
3 + 4 => 8
x += 3 + 4
1,2 + 3 = 4
1,2,3 + 4 = 10
1.2.3 + 4 = 5
3 1/2 + 1 = 4.5
1 + 2.5 = 3 1/2
7/2 = 3\frac{1}{2}
10**10**10 = 1
10^100000 = 1
2^-1000000 = 0
1e5 + 1 = 100001
0x10 + 1 = 17
5th + 3 = 8
3 dozen + 4 = 40
3 + 4 = 7 million
2 * 3 = 6 hundred
half of 10 + 5 = 10
twice 3 + 4 = 10
Week 1 - 3 + 4 = 7
Week 1 = 5 + 3
Step 2 = 3 + 4
2 = 3 + 4
5 * apples = 10
apples - 5 = 10
Price -5 = 10
20 - discount = 15
15 + 4 = 15 + tax
50 - 20% = 40
20% off of $50 = $40
20% discount on 50 = 40
3 @ $5 = $15
$|3 - 5| = 2$
\sin 3 + 4 = 7
\pi * 2 = 6.28
√2 * 2 = 2.83
5 / 0 = 0
2 + 3 = 5 + 4
6 / 2(1 + 2) = 1
33.33 * 3 = 100
3.33 * 3 = 10
10/3 * 2 = 3.33 * 2
11 - 22 \div 3 = 11 - 7
5 (apples * 3) = 14
72 hours work = 72 / 3 days work
7.2 = 7.2 * 7.2
60 (minutes) * 3 = 3 (hours)
5 ± 2 = 7
1 + 2 + ... + 10 = 56
30° + 60° = 91
''3 + 4'' = 7'
the ratio 2:3 = 4:6
3 + 4 = seven
3 + 4 =
= 7
2023-05-03 = 2015:00
""".strip().splitlines()


@pytest.mark.parametrize("text", HOLDS)
def test_it_holds(text):
    assert [e.holds for e in equations(text)] == [True]


@pytest.mark.parametrize("text", FAILS)
def test_it_does_not_hold(text):
    assert [e.holds for e in equations(text)] == [False]


@pytest.mark.parametrize("text", UNTESTABLE)
def test_it_is_left_alone(text):
    assert equations(text) == []


def test_a_line_may_begin_with_a_negative_number():
    assert [one.holds for one in equations("12 + 3 = 15\n\n-808 + 835 = 27\n-808 + 835 = 367\n")] == [True, True, False]
    assert not equations("x-808 + 835 = 367")
