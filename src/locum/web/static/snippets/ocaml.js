/** OCaml with cohttp-lwt-unix. */

import { BOUNDARY, headOf, jsonOf, KEY, partsOf, text } from "./parts.js";
import { ocaml } from "./strings.js";

/** @param {import("./parts.js").Request} request */
export function generate(request) {
  const json = jsonOf(request);
  const parts = partsOf(request);
  const headers = [...request.headers, ...(parts ? [["Content-Type", `multipart/form-data; boundary=${BOUNDARY}`]] : [])];
  const hasFile = parts?.some((part) => part.file !== undefined);
  const pieces = (parts ?? []).flatMap((part) => [ocaml(headOf(part)), part.file === undefined ? ocaml(part.value ?? "") : `read_file ${ocaml(part.file)}`, '"\\r\\n"']);
  const body = json !== null ? ocaml(json) : parts ? `(String.concat "" [ ${[...pieces, ocaml(`--${BOUNDARY}--\r\n`)].join("; ")} ])` : null;
  return text(
    "(* opam install cohttp-lwt-unix *)",
    "open Lwt.Infix\nopen Cohttp\nopen Cohttp_lwt_unix\n",
    hasFile && "let read_file name = In_channel.with_open_bin name In_channel.input_all\n",
    "let () =",
    `  let uri = Uri.of_string ${ocaml(request.url)} in`,
    "  let headers = Header.of_list [",
    `    "Authorization", "Bearer " ^ Sys.getenv "${KEY}";`,
    ...headers.map(([name, value]) => `    ${ocaml(name)}, ${ocaml(value)};`),
    "  ] in",
    body && `  let body = Cohttp_lwt.Body.of_string ${body} in`,
    "  Lwt_main.run (",
    `    Client.call ~headers ${body ? "~body " : ""}(Code.method_of_string ${ocaml(request.method)}) uri`,
    request.stream
      ? "    >>= fun (_, body) -> Cohttp_lwt.Body.to_stream body |> Lwt_stream.iter_s Lwt_io.print)"
      : "    >>= fun (_, body) -> Cohttp_lwt.Body.to_string body >>= Lwt_io.printl)",
  );
}
