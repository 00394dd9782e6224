"""Draw the course's formulas on one A4 page, ``chapters/formula_sheet.pdf``: same formulas, same bytes."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from simplex_lab import plots

SHEET = Path(__file__).resolve().parent.parent / "chapters" / "formula_sheet.pdf"
PARTS = (
    (
        "The layer (chapter 03)",
        (
            r"$A_{ijk} = \frac{1}{\sqrt{D}} \sum_d q_{id}\, k1_{jd}\, k2_{kd}$     logits, eq. 5",
            r"$P_{ijk} = e^{A_{ijk}}\, /\, \sum_{j'k'} e^{A_{ij'k'}}$     one softmax over the pairs (j, k), eq. 6",
            r"$o_{id} = \sum_{jk} P_{ijk}\, v1_{jd}\, v2_{kd}$     output, eq. 7",
            r"query $i$ sees  $i - w_1 < j \leq i$  and  $i - w_2 < k \leq i$",
        ),
    ),
    (
        "Rotations and determinants (chapter 04)",
        (
            r"$\det(a, b, c) = (a \times b) \cdot c$,     $\det(Ra, Rb, Rc) = \det(R)\, \det(a, b, c)$",
            r"$A_{ijk} = \sum_l \det[\,q_i^{(l)}, k1_j^{(l)}, k2_k^{(l)}\,]$     chunks of three channels, eq. 9",
            r"$\det(R^i q, R^j k1, R^k k2) = \det(q, R^{j-i} k1, R^{k-i} k2)$     one axis and rate a chunk",
        ),
    ),
    (
        "Cost (chapter 05)",
        (
            r"triples: $\sum_i \min(i+1, w_1)\, \min(i+1, w_2) \approx S\, w_1 w_2$",
            r"FLOPs of a triple: forward $4D$ on matrix units ($6D$ by the paper's count)",
            r"backward $12D$, recomputing not counted",
            r"as dear as full causal attention at  $n = 2\, w_1 w_2$  ($3\, w_1 w_2$ by the paper's count)",
        ),
    ),
    (
        "Online softmax (chapter 06), scores $s$ in base 2",
        (
            r"$m' = \max(m, s)$,   $\alpha = 2^{\,m - m'}$,   $p = 2^{\,s - m'}$",
            r"$l \leftarrow \alpha\, l + p$,   $acc \leftarrow \alpha\, acc + p\, v$,   at the end  $o = acc / l$,   $lse2 = m + \log_2 l$",
        ),
    ),
    (
        "Backward (chapter 09)",
        (
            r"$P_{ijk} = 2^{\,s_{ijk} - lse2_i}$,     $\delta_i = \sum_d o_{id}\, do_{id}$",
            r"$dP_{ijk} = \sum_d do_{id}\, v1_{jd}\, v2_{kd}$,     $dA_{ijk} = P_{ijk}\, (dP_{ijk} - \delta_i)$",
            r"$dv1_{jd} = \sum_{ik} P_{ijk}\, do_{id}\, v2_{kd}$,     $dv2_{kd} = \sum_{ij} P_{ijk}\, do_{id}\, v1_{jd}$",
            r"$dq_{id} = \frac{1}{\sqrt{D}} \sum_{jk} dA_{ijk}\, k1_{jd}\, k2_{kd}$",
            r"$dk1_{jd} = \frac{1}{\sqrt{D}} \sum_{ik} dA_{ijk}\, q_{id}\, k2_{kd}$,"
            r"     $dk2_{kd} = \frac{1}{\sqrt{D}} \sum_{ij} dA_{ijk}\, q_{id}\, k1_{jd}$",
        ),
    ),
)


def sheet() -> Figure:
    """The page."""
    fig = plt.figure(figsize=(8.27, 11.69), layout="none")
    y = 0.95
    fig.text(0.08, y, "2-simplicial attention on one page", fontsize=17, fontweight="bold")
    for title, lines in PARTS:
        y -= 0.045
        fig.text(0.08, y, title, fontsize=12.5, fontweight="bold", color=plots.SIMPLICIAL)
        for line in lines:
            y -= 0.0365
            fig.text(0.1, y, line, fontsize=12.5)
    fig.text(0.08, 0.03, "Simplex Lab, after arXiv:2507.02754. Signs and terms: chapters/GLOSSARY.md", fontsize=9, color="#555555")
    return fig


def main() -> None:
    plots.style()
    buffer = io.BytesIO()
    sheet().savefig(buffer, format="pdf", metadata={"CreationDate": None, "Producer": None, "Creator": None})
    plt.close("all")
    if not SHEET.exists() or SHEET.read_bytes() != buffer.getvalue():
        SHEET.write_bytes(buffer.getvalue())


if __name__ == "__main__":
    main()
