/** Objective-C with Foundation. */

import { BOUNDARY, headOf, jsonOf, KEY, partsOf, text } from "./parts.js";
import { c } from "./strings.js";

/** @param {string} value */
const at = (value) => `@${c(value)}`;

/** @param {import("./parts.js").Request} request */
export function generate(request) {
  const json = jsonOf(request);
  const parts = partsOf(request);
  return text(
    "#import <Foundation/Foundation.h>\n",
    "int main(void) {\n    @autoreleasepool {",
    `        NSURL *url = [NSURL URLWithString:${at(request.url)}];`,
    "        NSMutableURLRequest *request = [NSMutableURLRequest requestWithURL:url];",
    `        request.HTTPMethod = ${at(request.method)};`,
    `        NSString *key = NSProcessInfo.processInfo.environment[@"${KEY}"] ?: @"";`,
    '        [request setValue:[@"Bearer " stringByAppendingString:key] forHTTPHeaderField:@"Authorization"];',
    ...request.headers.map(([name, value]) => `        [request setValue:${at(value)} forHTTPHeaderField:${at(name)}];`),
    json !== null && `        request.HTTPBody = [${at(json)} dataUsingEncoding:NSUTF8StringEncoding];`,
    parts && `        [request setValue:${at(`multipart/form-data; boundary=${BOUNDARY}`)} forHTTPHeaderField:@"Content-Type"];\n        NSMutableData *body = [NSMutableData data];\n${parts.map(partOf).join("\n")}\n        [body appendData:[${at(`--${BOUNDARY}--\r\n`)} dataUsingEncoding:NSUTF8StringEncoding]];\n        request.HTTPBody = body;`,
    "        dispatch_semaphore_t done = dispatch_semaphore_create(0);",
    "        [[NSURLSession.sharedSession dataTaskWithRequest:request completionHandler:^(NSData *data, NSURLResponse *response, NSError *error) {",
    '            NSLog(@"%@", error ?: [[NSString alloc] initWithData:data encoding:NSUTF8StringEncoding]);',
    "            dispatch_semaphore_signal(done);",
    "        }] resume];",
    "        dispatch_semaphore_wait(done, DISPATCH_TIME_FOREVER);",
    "    }\n    return 0;\n}",
  );
}

/** @param {{ name: string, value?: string, file?: string }} part */
function partOf(part) {
  const content = part.file === undefined
    ? `[${at(part.value ?? "")} dataUsingEncoding:NSUTF8StringEncoding]`
    : `[NSData dataWithContentsOfFile:${at(part.file)}]`;
  return `        [body appendData:[${at(headOf(part))} dataUsingEncoding:NSUTF8StringEncoding]];\n        [body appendData:${content}];\n        [body appendData:[@"\\r\\n" dataUsingEncoding:NSUTF8StringEncoding]];`;
}
