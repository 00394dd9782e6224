"""Grade submitted exercise notebooks with the checks of the course, without trusting them.

A submission runs in a process of its own (``sandbox``), which knows the names of the exercises and nothing else about them (``child``). The
grader draws inputs after the notebook ran, sends them (``wire``), and climbs the ladder of the check over the outputs that come back
(``remote``). Nothing of a submission is imported, unpickled or believed, with one exception that can only lower a grade: what a kernel
touched and how large the tensors on the way were is seen in the process of the submission alone.
"""
