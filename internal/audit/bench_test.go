package audit

import (
	"context"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// BenchmarkAppend grants access as many callers at once, each of which waits for the disk.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 16, 256} {
		b.Run(strconv.Itoa(callers)+"-callers", func(b *testing.B) {
			l, err := Open(filepath.Join(b.TempDir(), "audit.jsonl"), Options{Key: testKey()})
			if err != nil {
				b.Fatal(err)
			}
			stop := start(b, l)
			defer stop()
			b.SetParallelism(callers) // times GOMAXPROCS
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := l.Append(context.Background(), grant("alice")); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkAppendFolded is what one refusal of a flood costs.
func BenchmarkAppendFolded(b *testing.B) {
	l, err := Open(filepath.Join(b.TempDir(), "audit.jsonl"), Options{Key: testKey()})
	if err != nil {
		b.Fatal(err)
	}
	stop := start(b, l)
	defer stop()
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Append(context.Background(), refusal("192.0.2.7", "expired")); err != nil {
			b.Error(err)
		}
	}
}

// BenchmarkVerify reads a record of 100,000 lines.
func BenchmarkVerify(b *testing.B) {
	path := filepath.Join(b.TempDir(), "audit.jsonl")
	l, err := Open(path, Options{Key: testKey()})
	if err != nil {
		b.Fatal(err)
	}
	items := make([]item, 1000)
	for i := range items {
		items[i] = item{Record: grant("alice"), at: time.Now()}
	}
	for range 100 {
		if err := l.write(items, false, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if report := wantSound(b, path); report.Records != 100_000 {
			b.Fatal(report.Records)
		}
	}
}
