package auth

import (
	"testing"

	"sightline/web/wordstest"
)

func TestReasons_HaveWordsInEachLanguage(t *testing.T) {
	codes := make([]string, 0, len(refusals))
	for _, r := range refusals {
		codes = append(codes, r.reason)
	}
	wordstest.Cover(t, "../../web/src/app/refusals.*.json", "auth", codes)
}
