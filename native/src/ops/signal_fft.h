// Fourier transforms of one type of number, with a power of two of points: included for each, after
//     FFT(name)           the name that a function or type gets
//     SCALAR, PRODUCT     numbers, and what holds sums of their products
//     FRACTION            bits behind the point, all but the sign; 0 for floats
//     LARGEST             the number that stands for 1
// They round as KISS FFT does, whose results TensorFlow Lite Micro's operators have: complex transforms by decimation in time, of radix 4 as
// far as that goes and then 2, where whole numbers are divided by the radix at each step so that nothing overflows; transforms of real numbers through
// complex ones of half their length.

typedef struct { SCALAR re, im; } FFT(complex);

#if FRACTION
#define ROUNDED(x) (SCALAR)(((x) + ((PRODUCT)1 << (FRACTION - 1))) >> FRACTION)
#define OVER(x, k) ROUNDED((PRODUCT)(x) * (LARGEST / (k)))
#define TURN(x) (SCALAR)floor(0.5 + LARGEST * (x))
#define HALF(x) (SCALAR)((x) >> 1)
#else
#define ROUNDED(x) (x)
#define OVER(x, k) (x)
#define TURN(x) (SCALAR)(x)
#define HALF(x) (SCALAR)((x) * 0.5f)
#endif

static inline FFT(complex) FFT(add)(FFT(complex) a, FFT(complex) b) { return (FFT(complex)){(SCALAR)((PRODUCT)a.re + b.re), (SCALAR)((PRODUCT)a.im + b.im)}; }
static inline FFT(complex) FFT(sub)(FFT(complex) a, FFT(complex) b) { return (FFT(complex)){(SCALAR)((PRODUCT)a.re - b.re), (SCALAR)((PRODUCT)a.im - b.im)}; }
static inline FFT(complex) FFT(mul)(FFT(complex) a, FFT(complex) b)
{
    return (FFT(complex)){ROUNDED((PRODUCT)a.re * b.re - (PRODUCT)a.im * b.im), ROUNDED((PRODUCT)a.re * b.im + (PRODUCT)a.im * b.re)};
}
static inline FFT(complex) FFT(over)(FFT(complex) a, int k)
{
    (void)k;
    return (FFT(complex)){OVER(a.re, k), OVER(a.im, k)};
}

static FFT(complex) FFT(turn)(double phase) { return (FFT(complex)){TURN(cos(phase)), TURN(sin(phase))}; }

// n points of `x`, which are `step` apart, to `y`; `turns` are those of all points.
static void FFT(points)(const FFT(complex) *x, size_t n, size_t step, const FFT(complex) *turns, bool inverse, FFT(complex) *y)
{
    const size_t radix = n % 4 ? 2 : 4, m = n / radix;
    for (size_t q = 0; q < radix; q++) {
        if (m == 1) y[q] = x[q * step];
        else FFT(points)(x + q * step, m, step * radix, turns, inverse, y + q * m);
    }
    for (size_t i = 0; i < m && radix == 2; i++) {
        const FFT(complex) a = FFT(over)(y[i], 2), b = FFT(mul)(FFT(over)(y[i + m], 2), turns[i * step]);
        y[i] = FFT(add)(a, b);
        y[i + m] = FFT(sub)(a, b);
    }
    for (size_t i = 0; i < m && radix == 4; i++) {
        const FFT(complex) a = FFT(over)(y[i], 4), b = FFT(mul)(FFT(over)(y[i + m], 4), turns[i * step]);
        const FFT(complex) c = FFT(mul)(FFT(over)(y[i + 2 * m], 4), turns[2 * i * step]), d = FFT(mul)(FFT(over)(y[i + 3 * m], 4), turns[3 * i * step]);
        const FFT(complex) even = FFT(add)(a, c), odd = FFT(sub)(a, c), sum = FFT(add)(b, d), difference = FFT(sub)(b, d);
        const FFT(complex) turned = {difference.im, (SCALAR)-(PRODUCT)difference.re};      // by -90 degrees
        y[i] = FFT(add)(even, sum);
        y[i + 2 * m] = FFT(sub)(even, sum);
        y[i + m] = inverse ? FFT(sub)(odd, turned) : FFT(add)(odd, turned);
        y[i + 3 * m] = inverse ? FFT(add)(odd, turned) : FFT(sub)(odd, turned);
    }
}

// The turns of a complex transform of n points, and behind them n / 2 for the step between it and the real one of 2 n.
static void FFT(prepare)(void *turns, size_t n, bool inverse)
{
    const double pi = 3.14159265358979323846264338327, sign = inverse ? -1 : 1;
    FFT(complex) *t = turns;
    for (size_t i = 0; i < n; i++) t[i] = FFT(turn)(sign * (-2 * pi * (double)i / (double)n));
    for (size_t i = 0; i < n / 2; i++) t[n + i] = FFT(turn)(sign * (-pi * ((double)(i + 1) / (double)n + 0.5)));
}

// 2 n real numbers to n + 1 complex ones.
static void FFT(forward)(const void *from, size_t n, const void *turns, void *work, void *to)
{
    const FFT(complex) *t = turns, *x = from;
    FFT(complex) *z = work, *y = to;
    FFT(points)(x, n, 1, t, false, z);
    const FFT(complex) first = FFT(over)(z[0], 2);
    y[0] = (FFT(complex)){(SCALAR)((PRODUCT)first.re + first.im), 0};
    y[n] = (FFT(complex)){(SCALAR)((PRODUCT)first.re - first.im), 0};
    for (size_t k = 1; k <= n / 2; k++) {
        const FFT(complex) a = FFT(over)(z[k], 2), b = FFT(over)((FFT(complex)){z[n - k].re, (SCALAR)-(PRODUCT)z[n - k].im}, 2);
        const FFT(complex) sum = FFT(add)(a, b), w = FFT(mul)(FFT(sub)(a, b), t[n + k - 1]);
        y[k] = (FFT(complex)){HALF((PRODUCT)sum.re + w.re), HALF((PRODUCT)sum.im + w.im)};
        y[n - k] = (FFT(complex)){HALF((PRODUCT)sum.re - w.re), HALF((PRODUCT)w.im - sum.im)};
    }
}

// n + 1 complex numbers to 2 n real ones.
static void FFT(backward)(const void *from, size_t n, const void *turns, void *work, void *to)
{
    const FFT(complex) *t = turns, *x = from;
    FFT(complex) *z = work;
    z[0] = FFT(over)((FFT(complex)){(SCALAR)((PRODUCT)x[0].re + x[n].re), (SCALAR)((PRODUCT)x[0].re - x[n].re)}, 2);
    for (size_t k = 1; k <= n / 2; k++) {
        const FFT(complex) a = FFT(over)(x[k], 2), b = FFT(over)((FFT(complex)){x[n - k].re, (SCALAR)-(PRODUCT)x[n - k].im}, 2);
        const FFT(complex) even = FFT(add)(a, b), odd = FFT(mul)(FFT(sub)(a, b), t[n + k - 1]), rest = FFT(sub)(even, odd);
        z[k] = FFT(add)(even, odd);
        z[n - k] = (FFT(complex)){rest.re, (SCALAR)-(PRODUCT)rest.im};
    }
    FFT(points)(z, n, 1, t, true, to);
#if !FRACTION       // whole numbers have been divided on the way
    for (size_t i = 0; i < 2 * n; i++) ((SCALAR *)to)[i] /= (SCALAR)(2 * n);
#endif
}

#undef FFT
#undef SCALAR
#undef PRODUCT
#undef FRACTION
#undef LARGEST
#undef ROUNDED
#undef OVER
#undef TURN
#undef HALF
