package jsonscan

// The functions below look at the eight bytes of a number at once. Of the high
// bits that they return, the lowest is right, and those above it may not be.
const (
	// Everywhere times a byte has that byte eight times.
	Everywhere = 0x0101010101010101
	// HighBits has the highest bit of each byte.
	HighBits = 0x80 * Everywhere
)

// Zeros has the high bit of each byte that is 0.
func Zeros(eight uint64) uint64 { return (eight - Everywhere) &^ eight & HighBits }

// Below has the high bit of each byte that is below limit, which is at most 128.
func Below(eight, limit uint64) uint64 { return (eight - Everywhere*limit) &^ eight & HighBits }
