// Package format is what the store on Redis keeps there, as bytes: the names of
// keys, the values of sessions, and the members of indexes. It sends nothing.
//
//	keys.go          the name of each key, and the shard that it is in
//	value.go         a session's value: encode and decode
//	trailer.go       the end of a value, which says what the document does not
//	compress.go      the compression of large documents
//	version.go       index versions, by which a session's present index entries
//	                 differ from replaced ones
//	fileversions.go  the index versions of a session with many files
//	entry.go         index entries: a member for each index
//	position.go      the order of the indexes by age
//
// All of it is read by instances of other versions at the same time, and some of
// it by programs in other languages: a change here is a change of the stored
// format.
package format
