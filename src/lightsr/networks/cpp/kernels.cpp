// What FDIWN's training step calls; compiled on the machine itself by kernels.py.
//
// R is the type of features, L that of convolutions, X one of both.

#include "blocks.h"
#include "weighing.h"

#define CONVOLUTIONS(R, L, X, NAME)                                                               \
    void unit_##NAME(long n, long h, long w, long inputs, long middle, long inner, const X* x,    \
                     const R* weights, double e, R* out, L* inners, L* body, X* beside,           \
                     R* kept) {                                                                   \
        unit<R, L, X>(n, h, w, inputs, middle, inner, x, weights, e, out, inners, body, beside,   \
                      kept);                                                                      \
    }                                                                                             \
    void unit_backward_##NAME(long n, long h, long w, long inputs, long middle, long inner,       \
                              const R* g, const X* x, const R* weights, const L* inners,          \
                              const L* body, const X* beside, const R* kept, X* by_x,             \
                              R* by_weights) {                                                    \
        unit_backward<R, L, X>(n, h, w, inputs, middle, inner, g, x, weights, inners, body,       \
                               beside, kept, by_x, by_weights);                                   \
    }                                                                                             \
    void convolve_##NAME(long n, long h, long w, long inputs, long outputs, const X* x,           \
                         const R* weights, X* out) {                                              \
        convolve<R, L, X>(n, h, w, inputs, outputs, x, weights, out);                             \
    }                                                                                             \
    void convolve_backward_##NAME(long n, long h, long w, long inputs, long outputs, const X* g,  \
                                  const X* x, const R* weights, X* by_x, R* by_weights) {         \
        convolve_backward<R, L, X>(n, h, w, inputs, outputs, g, x, weights, by_x, by_weights);    \
    }

#define KERNELS(R, L, NAME)                                                                       \
    void weighed_##NAME(long n, long m, const R* a, const R* x, const R* w, const L* gate,        \
                        R* out, R* kept) {                                                        \
        weighed<R, L>(n, m, a, x, w, gate, out, kept);                                            \
    }                                                                                             \
    void weighed_backward_##NAME(long n, long m, const R* g, const R* a, const R* x, const R* w,  \
                                 const L* gate, const R* kept, R* by_a, R* by_x, R* by_w,         \
                                 L* by_gate) {                                                    \
        weighed_backward<R, L>(n, m, g, a, x, w, gate, kept, by_a, by_x, by_w, by_gate);          \
    }                                                                                             \
    void halves_##NAME(long n, long m, const R* x, double slope, L* first, L* second) {           \
        halves<R, L>(n, m, x, slope, first, second);                                              \
    }                                                                                             \
    void halves_backward_##NAME(long n, long m, const L* first, const L* second, const R* x,      \
                                double slope, R* by_x) {                                          \
        halves_backward<R, L>(n, m, first, second, x, slope, by_x);                               \
    }                                                                                             \
    void join_##NAME(long n, long m, const R* a, const R* b, L* out) {                            \
        join<R, L>(n, m, a, b, out);                                                              \
    }                                                                                             \
    void join_backward_##NAME(long n, long m, const L* g, R* by_a, R* by_b) {                     \
        join_backward<R, L>(n, m, g, by_a, by_b);                                                 \
    }                                                                                             \
    void close_##NAME(long n, long m, const R* x, const R* b, const R* fused, const L* z,         \
                      const R* weights, const R* vectors, double e, R* out, L* gate, R* t,        \
                      R* kept) {                                                                  \
        close<R, L>(n, m, x, b, fused, z, weights, vectors, e, out, gate, t, kept);               \
    }                                                                                             \
    void close_backward_##NAME(long n, long m, const R* g, const R* b, const L* z,                \
                               const R* weights, const R* vectors, const L* gate, const R* t,     \
                               const R* kept, R* by_t, R* by_b, L* by_z, R* by_weights,           \
                               R* by_vectors) {                                                   \
        close_backward<R, L>(n, m, g, b, z, weights, vectors, gate, t, kept, by_t, by_b, by_z,    \
                             by_weights, by_vectors);                                             \
    }

extern "C" {
KERNELS(float, bf16, float_bf16)
KERNELS(float, float, float_float)
KERNELS(double, double, double_double)
CONVOLUTIONS(float, bf16, float, float_bf16_float)
CONVOLUTIONS(float, bf16, bf16, float_bf16_bf16)
CONVOLUTIONS(float, float, float, float_float_float)
CONVOLUTIONS(double, double, double, double_double_double)
}
