// An OpenAI-compatible endpoint whose answers are as long as they are wanted.
import http from 'node:http';

export class FixedModel {
  static async start(answerBytes) {
    const model = new FixedModel();
    model.answerBytes = answerBytes;
    model.http = http.createServer((request, response) => model.#answer(request, response));
    await new Promise((resolve) => model.http.listen(0, '127.0.0.1', resolve));
    model.url = `http://127.0.0.1:${model.http.address().port}/v1`;
    return model;
  }

  #answer(request, response) {
    request.resume();
    const chunk = (delta, finish_reason) => ({
      id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1731000000, model: 'fixed-model',
      choices: [{ index: 0, delta, finish_reason }],
    });
    const usage = { prompt_tokens: 250, completion_tokens: 50, total_tokens: 300 };
    const events = [chunk({ role: 'assistant', content: 'x'.repeat(this.answerBytes) }, null), chunk({}, 'stop'),
                    { ...chunk({}, null), choices: [], usage }];
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const event of events) response.write(`data: ${JSON.stringify(event)}\n\n`);
    response.end('data: [DONE]\n\n');
  }

  stop() {
    this.http.close();
    this.http.closeAllConnections();
  }
}
