//! Gauss-Legendre quadrature: with Q points exact for polynomials up to degree 2 Q - 1.

/// Points and weights of a Gauss-Legendre quadrature on [0, 1].
#[derive(Debug, Clone, Copy)]
pub(super) struct Quadrature<const Q: usize> {
    pub(super) points: [f64; Q],
    pub(super) weights: [f64; Q],
}

impl<const Q: usize> Quadrature<Q> {
    /// The rule with `Q` points, 2, 4 or 6; from Abramowitz and Stegun, table 25.4, where it is given for [-1, 1] and
    /// its positive half.
    pub(super) const RULE: Self = {
        let half: &[(f64, f64)] = match Q {
            2 => &[(0.577_350_269_189_625_8, 1.0)],
            4 => &[
                (0.339_981_043_584_856_3, 0.652_145_154_862_546_2),
                (0.861_136_311_594_052_6, 0.347_854_845_137_453_85),
            ],
            _ => &[
                (0.238_619_186_083_196_9, 0.467_913_934_572_691_04),
                (0.661_209_386_466_264_5, 0.360_761_573_048_138_6),
                (0.932_469_514_203_152, 0.171_324_492_379_170_36),
            ],
        };
        assert!(2 * half.len() == Q);
        let mut points = [0.0; Q];
        let mut weights = [0.0; Q];
        let mut index = 0;
        while index < half.len() {
            let (point, weight) = half[index];
            points[2 * index] = (1.0 - point) / 2.0;
            points[2 * index + 1] = (1.0 + point) / 2.0;
            weights[2 * index] = weight / 2.0;
            weights[2 * index + 1] = weight / 2.0;
            index += 1;
        }
        Self { points, weights }
    };
}
