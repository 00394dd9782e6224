"""If the weights sum to S, dividing by their sum repairs it.

exercise: 03.2
rung: finite
diagnosis: equal-shares
"""


def joint_softmax(logits):
    P = logits.softmax(dim=-1)
    return P / P.sum(dim=(1, 2), keepdim=True)
