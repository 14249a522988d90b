package load

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A histogram counts durations in buckets that are exact to a µs up to 128 µs and to one part in 64 above. Safe for concurrent use.
type histogram [buckets]atomic.Uint64

const (
	fineBits = 7 // a bucket is one of 1<<(fineBits-1) of its power of two
	buckets  = (40 - fineBits) << (fineBits - 1)
)

func bucketOf(us uint64) int {
	shift := max(0, bits.Len64(us)-fineBits)
	return min(shift<<(fineBits-1)+int(us>>shift), buckets-1)
}

// middle is the middle of a bucket in µs.
func middle(bucket int) float64 {
	shift := max(0, bucket>>(fineBits-1)-1)
	least := uint64(bucket-shift<<(fineBits-1)) << shift
	return float64(least) + float64(uint64(1)<<shift-1)/2
}

func (h *histogram) add(d time.Duration) { h[bucketOf(uint64(max(0, d.Microseconds())))].Add(1) }

// counts is a histogram at one moment, or what came to it between two.
type counts [buckets]uint64

func (h *histogram) read() *counts {
	var c counts
	for i := range h {
		c[i] = h[i].Load()
	}
	return &c
}

// since takes before from c.
func (c *counts) since(before *counts) {
	for i := range c {
		c[i] -= before[i]
	}
}

func (c *counts) total() (n uint64) {
	for _, k := range c {
		n += k
	}
	return n
}

// quantile is the value in ms that the part q of all are no larger than; 0 where there are none.
func (c *counts) quantile(q float64) float64 {
	rank := uint64(q * float64(c.total()))
	var seen uint64
	last := 0
	for i, k := range c {
		if k == 0 {
			continue
		}
		last = i
		if seen += k; seen > rank {
			break
		}
	}
	return middle(last) / 1000
}

// Spread is the distribution of some durations, in ms.
type Spread struct {
	P50 float64 `json:"p50_ms"`
	P95 float64 `json:"p95_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

func (c *counts) spread() Spread {
	return Spread{P50: c.quantile(0.50), P95: c.quantile(0.95), P99: c.quantile(0.99), Max: c.quantile(1)}
}
