// An HTTP server on a listener that was handed in as descriptor 3. "/" answers a line, "/echo" the request's body,
// "/slow" a line after 50 ms, "/quit" ends it.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	http.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "hello\n")
	})
	http.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		// All of it first: this server answers no request of which it has not read the rest.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.Write(body)
	})
	http.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(50 * time.Millisecond)
		io.WriteString(w, "late\n")
	})
	http.HandleFunc("/quit", func(http.ResponseWriter, *http.Request) { os.Exit(0) })
	fmt.Fprintln(os.Stderr, http.Serve(listener, nil))
	os.Exit(1)
}
