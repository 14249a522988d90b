package media

import (
	"testing"

	"sightline/web/wordstest"
)

func TestCauses_HaveWordsInEachLanguage(t *testing.T) {
	codes := make([]string, 0, len(causes))
	for _, c := range causes {
		codes = append(codes, string(c))
	}
	wordstest.Cover(t, "../../web/src/player/causes.*.json", "causes", codes)
}
