package httpd

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// qrQuiet is the blank edge around a QR code, in modules (ISO/IEC 18004 section 9.1).
const qrQuiet = 4

// qrSVG draws text as a QR code that a phone reads from a screen: black on white, whatever the page around it looks like.
func qrSVG(text string) (string, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", fmt.Errorf("draw a QR code: %w", err)
	}
	var path strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			begin := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if x > begin {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", begin+qrQuiet, y+qrQuiet, x-begin, x-begin)
			}
		}
	}
	size := code.Size + 2*qrQuiet
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges">`+
		`<path fill="#fff" d="M0 0h%dv%dH0z"/><path d="%s"/></svg>`, size, size, size, size, path.String()), nil
}
