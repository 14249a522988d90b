package config

import "fmt"

// didYouMean names the candidate nearest to what somebody wrote, as the middle of a sentence, or is empty
// where none is near.
func didYouMean(written string, candidates []string) string {
	if len(written) > 64 {
		return ""
	}
	best, nearest := 1+max(1, len(written)/3), ""
	for _, c := range candidates {
		if d := distance(written, c); d < best {
			best, nearest = d, c
		}
	}
	if nearest == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", nearest)
}

// distance counts the letters to insert, delete, replace or swap with their neighbour to make b of a (optimal
// string alignment).
func distance(a, b string) int {
	var before, last, row []int
	for j := range len(b) + 1 {
		last = append(last, j)
	}
	for i := 1; i <= len(a); i++ {
		row = []int{i}
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, before[j-2]+1)
			}
			row = append(row, d)
		}
		before, last = last, row
	}
	return last[len(b)]
}
