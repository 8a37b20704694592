//! Cubic spline through points, with the not-a-knot condition at both ends: the third derivative goes on across the
//! second point and the last but one. The same curve as SciPy's `InterpolatedUnivariateSpline(x, y, k=3)`.

/// A curve through at least four points.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spline {
    /// By rising x.
    points: Vec<(f64, f64)>,
    /// Second derivative at each point.
    curvatures: Vec<f64>,
}

impl Spline {
    /// `None` where there are fewer than four points, or x does not rise, or a value is not finite. Cost: n.
    pub(super) fn new(points: Vec<(f64, f64)>) -> Option<Self> {
        let finite = points.iter().all(|(x, y)| x.is_finite() && y.is_finite());
        if points.len() < 4 || !finite || !points.is_sorted_by(|a, b| a.0 < b.0) {
            return None;
        }
        let steps: Vec<f64> = points.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        let slopes: Vec<f64> =
            points.windows(2).map(|pair| (pair[1].1 - pair[0].1) / (pair[1].0 - pair[0].0)).collect();
        // One equation for each inner point: lower · before + middle · here + upper · after = right.
        let inner = points.len() - 2;
        let mut rows: Vec<[f64; 4]> = (0..inner)
            .map(|i| {
                let right = 6.0 * (slopes[i + 1] - slopes[i]);
                [steps[i], 2.0 * (steps[i] + steps[i + 1]), steps[i + 1], right]
            })
            .collect();
        // The curvatures at the ends follow from their neighbours: not-a-knot.
        let (first, last) = (steps[0] / steps[1], steps[inner] / steps[inner - 1]);
        rows[0][1] += steps[0] * (1.0 + first);
        rows[0][2] -= steps[0] * first;
        rows[inner - 1][1] += steps[inner] * (1.0 + last);
        rows[inner - 1][0] -= steps[inner] * last;
        let solved = tridiagonal(rows);
        let begin = (1.0 + first) * solved[0] - first * solved[1];
        let end = (1.0 + last) * solved[inner - 1] - last * solved[inner - 2];
        let curvatures = std::iter::once(begin).chain(solved).chain([end]).collect();
        Some(Self { points, curvatures })
    }

    /// Value at `x`; beyond the ends the first and the last piece go on.
    pub(super) fn at(&self, x: f64) -> f64 {
        let last_piece = self.points.len() - 2;
        let piece = self.points.partition_point(|point| point.0 <= x).saturating_sub(1).min(last_piece);
        let ((x0, y0), (x1, y1)) = (self.points[piece], self.points[piece + 1]);
        let (m0, m1) = (self.curvatures[piece], self.curvatures[piece + 1]);
        let step = x1 - x0;
        let (a, b) = ((x1 - x) / step, (x - x0) / step);
        a * y0 + b * y1 + ((a * a * a - a) * m0 + (b * b * b - b) * m1) * step * step / 6.0
    }
}

/// Solves rows `[lower, middle, upper, right]` by elimination.
fn tridiagonal(mut rows: Vec<[f64; 4]>) -> Vec<f64> {
    for i in 1..rows.len() {
        let [_, middle, upper, right] = rows[i - 1];
        let factor = rows[i][0] / middle;
        rows[i][1] -= factor * upper;
        rows[i][3] -= factor * right;
    }
    let mut solved = vec![0.0; rows.len()];
    let mut after = 0.0;
    for (i, [_, middle, upper, right]) in rows.into_iter().enumerate().rev() {
        after = (right - upper * after) / middle;
        solved[i] = after;
    }
    solved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cubic_comes_back_between_its_points_and_beyond() {
        let cubic = |x: f64| ((0.5 * x - 2.0) * x + 3.0) * x - 1.0;
        for points in [vec![0.0, 1.0, 2.5, 4.0], vec![-3.0, -1.0, 0.0, 0.5, 2.0, 7.0]] {
            let spline = Spline::new(points.iter().map(|x| (*x, cubic(*x))).collect()).unwrap();
            for x in [-5.0, -1.0, 0.2, 1.7, 3.9, 9.0] {
                assert!((spline.at(x) - cubic(x)).abs() < 1e-11, "{x}");
            }
        }
    }

    #[test]
    fn too_few_points_or_points_that_do_not_rise_make_no_spline() {
        let points = |xs: &[f64]| xs.iter().map(|x| (*x, 1.0)).collect::<Vec<_>>();
        assert_eq!(Spline::new(points(&[1.0, 2.0, 3.0])), None);
        assert_eq!(Spline::new(points(&[1.0, 2.0, 2.0, 3.0])), None);
        assert_eq!(Spline::new(points(&[1.0, 2.0, 3.0, f64::NAN])), None);
    }
}
