// The elementwise passes of FDIWN's training step, fused: what they read is in the cache still.
//
// Values are [samples, pixels, channels], R the type of features, L that of convolutions, Y one of
// both. Gradients of parameters come per sample. Compiled on the machine itself by kernels.py.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

// What is written is nowhere what is read in another turn: spares checks before short loops.
#define INDEPENDENT _Pragma("GCC ivdep")

namespace {

struct bf16 {
    uint16_t bits;
};

inline float wide(bf16 x) {
    uint32_t bits = uint32_t(x.bits) << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}
inline float wide(float x) { return x; }
inline double wide(double x) { return x; }

inline void put(bf16& to, float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    // Rounding could turn not-a-number into infinity, or into zero.
    to.bits = (bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded;
}
inline void put(float& to, float x) { to = x; }
inline void put(double& to, double x) { to = x; }

inline double exponential(double x) { return std::exp(x); }

// exp in a form that compilers vectorise; off by less than 2e-7 of its value.
inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    float n = x * 1.44269504f;
    int whole = int(n + (n < 0 ? -0.5f : 0.5f));
    float r = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t bits = (whole + 127) << 23;
    float power;
    std::memcpy(&power, &bits, 4);
    return p * power;
}

template <class R>
inline R sigmoid(R x) {
    return R(1) / (R(1) + exponential(-x));
}

// Sum `count` terms of every channel in runs, which keeps rounding small.
template <class R, int C, class Term>
inline void total(long pixels, R* sums, Term term) {
    for (int c = 0; c < C; c++) sums[c] = 0;
    for (long start = 0; start < pixels; start += 32) {
        long end = start + 32 < pixels ? start + 32 : pixels;
        R run[C] = {};
        for (long i = start; i < end; i++)
            for (int c = 0; c < C; c++) run[c] += term(i * C + c, c);
        for (int c = 0; c < C; c++) sums[c] += run[c];
    }
}

template <class R, class X, int C>
inline void mean_and_variance(const X* x, long pixels, R* mean, R* variance) {
    total<R, C>(pixels, mean, [&](long i, int) { return wide(x[i]); });
    for (int c = 0; c < C; c++) mean[c] /= pixels;
    total<R, C>(pixels, variance, [&](long i, int c) {
        R d = wide(x[i]) - mean[c];
        return d * d;
    });
    for (int c = 0; c < C; c++) variance[c] /= pixels;
}

// p * x * sigmoid(a * x + d) + q * y; see GatedSum. `kept`: mean and 1 / deviation, [samples, 2, C].
template <class R, class L, class Y, int C>
void gated_sum(long samples, long pixels, const L* x, const R* vectors, double epsilon, const R* p,
               const Y* y, const R* q, R* out, R* kept) {
#pragma omp parallel for
    for (long s = 0; s < samples; s++) {
        const L* xs = x + s * pixels * C;
        const Y* ys = y + s * pixels * C;
        R* outs = out + s * pixels * C;
        R* mean = kept + s * 2 * C;
        R* root = mean + C;
        R a[C], d[C];
        mean_and_variance<R, L, C>(xs, pixels, mean, root);
        for (int c = 0; c < C; c++) {
            root[c] = 1 / std::sqrt(root[c] + R(epsilon));
            a[c] = vectors[C + c] * root[c];
            d[c] = (vectors[c] - a[c]) * mean[c] + vectors[2 * C + c];
        }
        R P = *p, Q = *q;
        for (long i = 0; i < pixels; i++)
INDEPENDENT
            for (int c = 0; c < C; c++) {
                long j = i * C + c;
                R v = wide(xs[j]);
                outs[j] = P * v * sigmoid(a[c] * v + d[c]) + Q * wide(ys[j]);
            }
    }
}

template <class R, class L, class Y, int C>
void gated_sum_backward(long samples, long pixels, const R* grad, const L* x, const R* vectors,
                        const R* p, const Y* y, const R* q, const R* kept, L* by_x, Y* by_y,
                        R* by_vectors, R* by_pq) {
#pragma omp parallel for
    for (long s = 0; s < samples; s++) {
        const R* gs = grad + s * pixels * C;
        const L* xs = x + s * pixels * C;
        const Y* ys = y + s * pixels * C;
        L* by_xs = by_x + s * pixels * C;
        Y* by_ys = by_y + s * pixels * C;
        const R* mean = kept + s * 2 * C;
        const R* root = mean + C;
        R a[C], d[C], sum_d[C] = {}, sum_a[C] = {}, sum_p[C] = {}, sum_q[C] = {};
        for (int c = 0; c < C; c++) {
            a[c] = vectors[C + c] * root[c];
            d[c] = (vectors[c] - a[c]) * mean[c] + vectors[2 * C + c];
        }
        std::vector<R> part(pixels * C);
        R P = *p, Q = *q;
        for (long start = 0; start < pixels; start += 32) {
            long end = start + 32 < pixels ? start + 32 : pixels;
            R run_d[C] = {}, run_a[C] = {}, run_p[C] = {}, run_q[C] = {};
            for (long i = start; i < end; i++)
INDEPENDENT
                for (int c = 0; c < C; c++) {
                    long j = i * C + c;
                    R v = wide(xs[j]), g = gs[j], other = wide(ys[j]);
                    R gate = sigmoid(a[c] * v + d[c]);
                    R through = g * gate, inner = through * v, by_gate = inner - inner * gate;
                    run_p[c] += inner;
                    run_q[c] += g * other;
                    run_d[c] += by_gate;
                    run_a[c] += by_gate * v;
                    part[j] = through + by_gate * a[c];
                    put(by_ys[j], g * Q);
                }
            for (int c = 0; c < C; c++) {
                sum_d[c] += run_d[c];
                sum_a[c] += run_a[c];
                sum_p[c] += run_p[c];
                sum_q[c] += run_q[c];
            }
        }
        R linear[C], constant[C], all_p = 0, all_q = 0;
        for (int c = 0; c < C; c++) {
            R by_a = sum_a[c] - sum_d[c] * mean[c];
            R by_mean = sum_d[c] * (vectors[c] - a[c]);
            linear[c] = -root[c] * root[c] * root[c] * vectors[C + c] * by_a / pixels;
            constant[c] = by_mean / pixels - linear[c] * mean[c];
            R* own = by_vectors + s * 3 * C;
            own[c] = P * sum_d[c] * mean[c];
            own[C + c] = P * by_a * root[c];
            own[2 * C + c] = P * sum_d[c];
            all_p += sum_p[c];
            all_q += sum_q[c];
        }
        by_pq[2 * s] = all_p;
        by_pq[2 * s + 1] = all_q;
        for (long i = 0; i < pixels; i++)
INDEPENDENT
            for (int c = 0; c < C; c++) {
                long j = i * C + c;
                put(by_xs[j], P * (part[j] + R(wide(xs[j])) * linear[c] + constant[c]));
            }
    }
}

// A combination coefficient's two branches (of the mean, of the deviation), C -> C / 8 -> C.
template <class R, int C>
struct Coefficient {
    static constexpr int H = C / 8;
    static constexpr int SIZE = 2 * (H + C * H + C + H * C);
    R hidden[2][H], output[2][C], value[C];

    static const R* bias1(const R* w, int k) { return w + k * H; }
    static const R* weight1(const R* w, int k) { return w + 2 * H + k * C * H; }
    static const R* bias2(const R* w, int k) { return w + 2 * H + 2 * C * H + k * C; }
    static const R* weight2(const R* w, int k) { return w + 2 * (H + C * H + C) + k * H * C; }

    Coefficient(const R* w, const R* statistics) {
        for (int k = 0; k < 2; k++) {
            for (int h = 0; h < H; h++) {
                R sum = bias1(w, k)[h];
                for (int c = 0; c < C; c++) sum += statistics[k * C + c] * weight1(w, k)[c * H + h];
                hidden[k][h] = sum > 0 || sum != sum ? sum : 0;
            }
            for (int c = 0; c < C; c++) {
                R sum = bias2(w, k)[c];
                for (int h = 0; h < H; h++) sum += hidden[k][h] * weight2(w, k)[h * C + c];
                output[k][c] = sum > 0 || sum != sum ? sum : 0;
            }
        }
        for (int c = 0; c < C; c++)
            value[c] = (sigmoid(output[0][c]) + sigmoid(output[1][c])) / 2;
    }

    void backward(const R* w, const R* statistics, const R* by_value, R* by_w, R* by_statistics) {
        for (int k = 0; k < 2; k++) {
            R by_output[C], by_hidden[H];
            R* b2 = const_cast<R*>(bias2(by_w, k));
            R* w2 = const_cast<R*>(weight2(by_w, k));
            R* b1 = const_cast<R*>(bias1(by_w, k));
            R* w1 = const_cast<R*>(weight1(by_w, k));
            for (int c = 0; c < C; c++) {
                R gate = sigmoid(output[k][c]);
                by_output[c] = output[k][c] > 0 ? by_value[c] * gate * (1 - gate) / 2 : R(0);
                b2[c] = by_output[c];
            }
            for (int h = 0; h < H; h++) {
                R sum = 0;
                for (int c = 0; c < C; c++) {
                    w2[h * C + c] = hidden[k][h] * by_output[c];
                    sum += by_output[c] * weight2(w, k)[h * C + c];
                }
                by_hidden[h] = hidden[k][h] > 0 ? sum : R(0);
                b1[h] = by_hidden[h];
            }
            for (int c = 0; c < C; c++) {
                R sum = 0;
                for (int h = 0; h < H; h++) {
                    w1[c * H + h] = statistics[k * C + c] * by_hidden[h];
                    sum += by_hidden[h] * weight1(w, k)[c * H + h];
                }
                by_statistics[k * C + c] = sum;
            }
        }
    }
};

// (coefficient(a) * a + x) [* sigmoid(gate)]. `kept`: mean and deviation, [samples, 2, C].
template <class R, class L, int C>
void weighed(long samples, long pixels, const R* a, const R* x, const R* weights, const L* gate,
             R* out, R* kept) {
#pragma omp parallel for
    for (long s = 0; s < samples; s++) {
        const R* as = a + s * pixels * C;
        const R* xs = x + s * pixels * C;
        R* outs = out + s * pixels * C;
        R* own = kept + s * 2 * C;
        mean_and_variance<R, R, C>(as, pixels, own, own + C);
        // The root's gradient is infinite at 0.
        for (int c = 0; c < C; c++) own[C + c] = std::sqrt(own[C + c] + R(1e-20));
        Coefficient<R, C> k(weights, own);
        if (gate == nullptr) {
            for (long i = 0; i < pixels; i++)
INDEPENDENT
                for (int c = 0; c < C; c++)
                    outs[i * C + c] = k.value[c] * as[i * C + c] + xs[i * C + c];
        } else {
            const L* gates = gate + s * pixels * C;
            for (long i = 0; i < pixels; i++)
INDEPENDENT
                for (int c = 0; c < C; c++) {
                    long j = i * C + c;
                    outs[j] = (k.value[c] * as[j] + xs[j]) * sigmoid(R(wide(gates[j])));
                }
        }
    }
}

// Without a gate the gradient of x is `grad` itself, and `by_x` is not written.
template <class R, class L, int C>
void weighed_backward(long samples, long pixels, const R* grad, const R* a, const R* x,
                      const R* weights, const L* gate, const R* kept, R* by_a, R* by_x,
                      R* by_weights, L* by_gate) {
    constexpr int SIZE = Coefficient<R, C>::SIZE;
#pragma omp parallel for
    for (long s = 0; s < samples; s++) {
        long offset = s * pixels * C;
        const R *gs = grad + offset, *as = a + offset, *xs = x + offset, *own = kept + s * 2 * C;
        R* by_as = by_a + offset;
        const R* through = gs;
        Coefficient<R, C> k(weights, own);
        R by_value[C], by_statistics[2 * C], linear[C], constant[C];
        if (gate != nullptr) {
            const L* gates = gate + offset;
            L* by_gates = by_gate + offset;
            R* by_xs = by_x + offset;
            for (long i = 0; i < pixels; i++)
INDEPENDENT
                for (int c = 0; c < C; c++) {
                    long j = i * C + c;
                    R g = sigmoid(R(wide(gates[j])));
                    R inner = gs[j] * g;
                    by_xs[j] = inner;
                    put(by_gates[j], inner * (1 - g) * (k.value[c] * as[j] + xs[j]));
                }
            through = by_xs;
        }
        total<R, C>(pixels, by_value, [&](long i, int) { return through[i] * as[i]; });
        k.backward(weights, own, by_value, by_weights + s * SIZE, by_statistics);
        for (int c = 0; c < C; c++) {
            linear[c] = by_statistics[C + c] / (own[C + c] * pixels);
            constant[c] = by_statistics[c] / pixels - linear[c] * own[c];
        }
        for (long i = 0; i < pixels; i++)
INDEPENDENT
            for (int c = 0; c < C; c++) {
                long j = i * C + c;
                by_as[j] = through[j] * k.value[c] + as[j] * linear[c] + constant[c];
            }
    }
}

// Leaky ReLU, its first and its second half of the channels apart.
template <class R, class L, int C>
void halves(long samples, long pixels, const R* x, double slope, L* first, L* second) {
    constexpr int H = C / 2;
#pragma omp parallel for
    for (long s = 0; s < samples; s++)
        for (long i = s * pixels; i < (s + 1) * pixels; i++)
INDEPENDENT
            for (int c = 0; c < H; c++) {
                R u = x[i * C + c], v = x[i * C + H + c];
                put(first[i * H + c], u < 0 ? u * R(slope) : u);
                put(second[i * H + c], v < 0 ? v * R(slope) : v);
            }
}

template <class R, class L, int C>
void halves_backward(long samples, long pixels, const L* first, const L* second, const R* x,
                     double slope, R* by_x) {
    constexpr int H = C / 2;
#pragma omp parallel for
    for (long s = 0; s < samples; s++)
        for (long i = s * pixels; i < (s + 1) * pixels; i++)
INDEPENDENT
            for (int c = 0; c < H; c++) {
                R u = wide(first[i * H + c]), v = wide(second[i * H + c]);
                by_x[i * C + c] = x[i * C + c] > 0 ? u : u * R(slope);
                by_x[i * C + H + c] = x[i * C + H + c] > 0 ? v : v * R(slope);
            }
}

// Put zeros into `grad` where the ReLU gave zero, and sum up its columns for every sample.
template <class R, class L>
void relu_backward(long samples, long pixels, long channels, L* grad, const L* values, R* sums) {
#pragma omp parallel for
    for (long s = 0; s < samples; s++) {
        R* own = sums + s * channels;
        for (long c = 0; c < channels; c++) own[c] = 0;
        for (long i = s * pixels; i < (s + 1) * pixels; i++)
INDEPENDENT
            for (long c = 0; c < channels; c++) {
                long j = i * channels + c;
                R g = R(wide(values[j])) > 0 ? R(wide(grad[j])) : R(0);
                own[c] += g;
                put(grad[j], g);
            }
    }
}

}  // namespace

#define KINDS(R, L, NAME)                                                                         \
    KERNELS(R, L, NAME)                                                                           \
    SUM(R, L, R, NAME##_wide)                                                                     \
    SUM(R, L, L, NAME##_low)

#define SUM(R, L, Y, NAME)                                                                        \
    void gated_sum_##NAME(long n, long m, const L* x, const R* v, double e, const R* p,           \
                          const Y* y, const R* q, R* out, R* kept) {                              \
        gated_sum<R, L, Y, 24>(n, m, x, v, e, p, y, q, out, kept);                                \
    }                                                                                             \
    void gated_sum_backward_##NAME(long n, long m, const R* g, const L* x, const R* v,            \
                                   const R* p, const Y* y, const R* q, const R* kept, L* by_x,    \
                                   Y* by_y, R* by_v, R* by_pq) {                                  \
        gated_sum_backward<R, L, Y, 24>(n, m, g, x, v, p, y, q, kept, by_x, by_y, by_v, by_pq);   \
    }

#define KERNELS(R, L, NAME)                                                                       \
    void weighed_##NAME(long n, long m, const R* a, const R* x, const R* w, const L* gate,        \
                        R* out, R* kept) {                                                        \
        weighed<R, L, 24>(n, m, a, x, w, gate, out, kept);                                        \
    }                                                                                             \
    void weighed_backward_##NAME(long n, long m, const R* g, const R* a, const R* x, const R* w,  \
                                 const L* gate, const R* kept, R* by_a, R* by_x, R* by_w,         \
                                 L* by_gate) {                                                    \
        weighed_backward<R, L, 24>(n, m, g, a, x, w, gate, kept, by_a, by_x, by_w, by_gate);      \
    }                                                                                             \
    void halves_##NAME(long n, long m, const R* x, double slope, L* first, L* second) {           \
        halves<R, L, 24>(n, m, x, slope, first, second);                                          \
    }                                                                                             \
    void halves_backward_##NAME(long n, long m, const L* first, const L* second, const R* x,      \
                                double slope, R* by_x) {                                          \
        halves_backward<R, L, 24>(n, m, first, second, x, slope, by_x);                           \
    }                                                                                             \
    void relu_backward_##NAME(long n, long m, long c, L* g, const L* values, R* sums) {           \
        relu_backward<R, L>(n, m, c, g, values, sums);                                            \
    }

extern "C" {
KINDS(float, bf16, float_bf16)
KINDS(float, float, float_float)
KINDS(double, double, double_double)
}
