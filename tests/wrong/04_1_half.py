"""Each channel is a product of the other two.

exercise: 04.1
rung: hand
diagnosis: half
"""


def cross_chunks(a, b):
    S, D = a.shape
    a3, b3 = a.reshape(S, -1, 3), b.reshape(S, -1, 3)
    return (a3.roll(-1, -1) * b3.roll(1, -1)).reshape(S, D)
