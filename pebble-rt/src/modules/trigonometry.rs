//! The degree-based trigonometry of `math` (language section 18.1): whole degrees in, integers scaled by 10000 out.

/// The scale of the results: sin(90) is this.
pub const SCALE: i64 = 10_000;

/// The nearest integer to `10000 × sin(d)` for `d` in 0..=90.
const SINE: [u16; 91] = [
    0, 175, 349, 523, 698, 872, 1045, 1219, 1392, 1564, 1736, 1908, 2079, 2250, 2419, 2588, 2756,
    2924, 3090, 3256, 3420, 3584, 3746, 3907, 4067, 4226, 4384, 4540, 4695, 4848, 5000, 5150, 5299,
    5446, 5592, 5736, 5878, 6018, 6157, 6293, 6428, 6561, 6691, 6820, 6947, 7071, 7193, 7314, 7431,
    7547, 7660, 7771, 7880, 7986, 8090, 8192, 8290, 8387, 8480, 8572, 8660, 8746, 8829, 8910, 8988,
    9063, 9135, 9205, 9272, 9336, 9397, 9455, 9511, 9563, 9613, 9659, 9703, 9744, 9781, 9816, 9848,
    9877, 9903, 9925, 9945, 9962, 9976, 9986, 9994, 9998, 10000,
];

/// Sine of a whole angle in degrees, scaled by [`SCALE`].
pub fn sine(degrees: i64) -> i64 {
    let reduced = degrees.rem_euclid(360);
    let (half, sign) = if reduced >= 180 {
        (reduced - 180, -1)
    } else {
        (reduced, 1)
    };
    let quarter = if half > 90 { 180 - half } else { half };
    sign * i64::from(SINE[quarter as usize])
}

/// Cosine of a whole angle in degrees, scaled by [`SCALE`].
pub fn cosine(degrees: i64) -> i64 {
    sine(90 - degrees.rem_euclid(360))
}

/// Tangent of a whole angle, truncated toward zero; `None` where the cosine is zero.
pub fn tangent(degrees: i64) -> Option<i64> {
    let cosine = cosine(degrees);
    (cosine != 0).then(|| sine(degrees) * SCALE / cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_entry_is_the_nearest_integer() {
        for (degree, entry) in SINE.iter().enumerate() {
            let exact = libm::sin((degree as f64).to_radians()) * 10_000.0;
            assert_eq!(
                i64::from(*entry),
                libm::round(exact) as i64,
                "sin({degree})"
            );
        }
    }

    #[test]
    fn the_quadrants_mirror_the_first() {
        assert_eq!(
            (sine(30), cosine(60), sine(-30), sine(45)),
            (5000, 5000, -5000, 7071)
        );
        assert_eq!(
            (sine(150), sine(210), sine(330), sine(750)),
            (5000, -5000, -5000, 5000)
        );
        assert_eq!(
            (cosine(0), cosine(180), cosine(i64::MIN)),
            (10000, -10000, cosine(i64::MIN.rem_euclid(360)))
        );
    }

    #[test]
    fn the_tangent_truncates_and_has_no_value_at_right_angles() {
        assert_eq!(tangent(45), Some(10000));
        assert_eq!(tangent(-45), Some(-10000));
        assert_eq!(tangent(60), Some(17320));
        assert_eq!(tangent(90), None);
        assert_eq!(tangent(270), None);
    }
}
