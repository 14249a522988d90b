package httpd

import (
	"errors"
	"testing"

	"sightline/web/wordstest"
)

func TestRefusals_HaveWordsInEachLanguage(t *testing.T) {
	codes := []string{reason(errors.New("anything else"))}
	for _, r := range refusals() {
		codes = append(codes, r.reason)
	}
	wordstest.Cover(t, "../../web/src/app/refusals.*.json", "httpd", codes)
}
