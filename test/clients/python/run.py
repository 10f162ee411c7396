"""Runs the openai and langchain-openai packages, unchanged, against FETCHWAY_URL and prints one line a check.

FETCHWAY_MODEL and FETCHWAY_API_KEY say what to ask for. With FETCHWAY_LIMITED_KEY (a key of one call a minute) keys and limits
are checked, too; with FETCHWAY_GENERATES_ONLY embeddings and audio are left out. Exits with 1 when a check failed.
"""
import asyncio
import io
import json
import os
import sys
import time
import traceback
import wave

import openai
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

BASE = os.environ['FETCHWAY_URL'].rstrip('/') + '/v1'
MODEL = os.environ.get('FETCHWAY_MODEL', 'demo-model')
KEY = os.environ.get('FETCHWAY_API_KEY', 'sk-plain')
LIMITED_KEY = os.environ.get('FETCHWAY_LIMITED_KEY')
GENERATES_ONLY = 'FETCHWAY_GENERATES_ONLY' in os.environ

HELLO = [{'role': 'user', 'content': 'Which worker answers me?'}]
ASK = {'model': MODEL, 'messages': HELLO, 'temperature': 0, 'max_tokens': 12}
WEATHER = {'type': 'function', 'function': {'name': 'get_weather', 'strict': True, 'description': 'Weather of a city', 'parameters': {
    'type': 'object', 'properties': {'city': {'type': 'string', 'enum': ['Paris', 'Tokyo']}, 'days': {'type': 'integer', 'enum': [1, 2]}},
    'required': ['city', 'days'], 'additionalProperties': False}}}
NAMED = {'type': 'function', 'function': {'name': 'get_weather'}}


class Answer(BaseModel):
    """What a structured answer must look like."""
    warm: bool


CHECKS = []


def check(run):
    CHECKS.append(run)
    return run


def needs_ours(run):
    return check(run) if LIMITED_KEY else run


def needs_all_tasks(run):
    return run if GENERATES_ONLY else check(run)


def client_with(key):
    return openai.OpenAI(base_url=BASE, api_key=key, max_retries=0, timeout=20)


client = client_with(KEY)


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f'no {kind.__name__}')


def assert_weather(arguments):
    given = json.loads(arguments) if isinstance(arguments, str) else arguments
    assert given['city'] in ('Paris', 'Tokyo') and given['days'] in (1, 2), arguments


@check
def chat():
    reply = client.chat.completions.create(**ASK)
    assert reply.choices[0].message.content
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0


@check
def chat_stream_says_the_same():
    whole = client.chat.completions.create(**ASK).choices[0].message.content
    chunks = list(client.chat.completions.create(**ASK, stream=True))
    assert ''.join(chunk.choices[0].delta.content or '' for chunk in chunks) == whole
    assert all(chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason in ('stop', 'length')


@check
def chat_stream_with_usage():
    chunks = list(client.chat.completions.create(**ASK, stream=True, stream_options={'include_usage': True}))
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0
    assert sum(chunk.usage is not None for chunk in chunks) == 1


@check
def chat_async_side_by_side():
    async def ask_all():
        async with openai.AsyncOpenAI(base_url=BASE, api_key=KEY, max_retries=0) as many:
            return await asyncio.gather(*(many.chat.completions.create(**ASK) for _ in range(8)))
    replies = asyncio.run(ask_all())
    assert len({reply.choices[0].message.content for reply in replies}) == 1
    assert len({reply.id for reply in replies}) == 8


@check
def stream_left_early():
    with client.chat.completions.create(**{**ASK, 'max_tokens': 500}, stream=True) as stream:
        next(iter(stream))
    assert client.chat.completions.create(**ASK).choices


@check
def tool_forced():
    reply = client.chat.completions.create(**{**ASK, 'max_tokens': 200}, tools=[WEATHER], tool_choice=NAMED)
    call = reply.choices[0].message.tool_calls[0]
    assert call.id and call.function.name == 'get_weather'
    assert_weather(call.function.arguments)


@check
def tool_forced_stream():
    name, arguments = '', ''
    for chunk in client.chat.completions.create(**{**ASK, 'max_tokens': 200}, tools=[WEATHER], tool_choice=NAMED, stream=True):
        for call in chunk.choices[0].delta.tool_calls or []:
            name += call.function.name or ''
            arguments += call.function.arguments or ''
    assert name == 'get_weather'
    assert_weather(arguments)


@check
def structured_output():
    reply = client.chat.completions.parse(**{**ASK, 'max_tokens': 80}, response_format=Answer)
    assert isinstance(reply.choices[0].message.parsed, Answer)


@check
def structured_output_stream():
    with client.chat.completions.stream(**{**ASK, 'max_tokens': 80}, response_format=Answer) as stream:
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Answer)


@check
def completions():
    for prompt, choices in (('Hello', 1), (['Hello', 'router'], 2), ([5, 6, 7], 1), ([[5, 6], [7, 8]], 2)):
        reply = client.completions.create(model=MODEL, prompt=prompt, max_tokens=3, temperature=0)
        assert len(reply.choices) == choices, prompt
    assert ''.join(chunk.choices[0].text for chunk in client.completions.create(model=MODEL, prompt='Hello', max_tokens=4, stream=True))


@check
def responses():
    reply = client.responses.create(model=MODEL, input='Hello', max_output_tokens=8)
    assert reply.output_text
    kinds = [event.type for event in client.responses.create(model=MODEL, input='Hello', max_output_tokens=8, stream=True)]
    assert kinds[0] == 'response.created' and kinds[-1] in ('response.completed', 'response.incomplete'), kinds


@check
def raw_response_tells_the_request_id():
    raw = client.chat.completions.with_raw_response.create(**ASK, extra_headers={'x-request-id': 'my-id-1'})
    assert raw.headers['x-request-id'] == 'my-id-1'
    assert raw.parse().choices


@check
def unknown_fields_pass():
    assert client.chat.completions.create(**ASK, extra_body={'min_p': 0.1, 'made_up': {'a': 1}}).choices


@check
def models():
    assert [model.id for model in client.models.list()].count(MODEL) == 1


@needs_ours
def model_by_name():
    assert client.models.retrieve(MODEL).id == MODEL
    raises(openai.NotFoundError, lambda: client.models.retrieve('nope'))


@needs_all_tasks
def embeddings():
    floats = client.embeddings.create(model=MODEL, input=['one', 'two'], encoding_format='float')
    decoded = client.embeddings.create(model=MODEL, input=['one', 'two'])
    assert [each.index for each in decoded.data] == [0, 1]
    assert len(floats.data[0].embedding) == len(decoded.data[0].embedding) > 0
    assert all(abs(a - b) < 1e-5 for a, b in zip(floats.data[1].embedding, decoded.data[1].embedding))


@needs_all_tasks
def transcription():
    file = io.BytesIO()
    with wave.open(file, 'wb') as sound:
        sound.setparams((1, 2, 8000, 800, 'NONE', ''))
        sound.writeframes(bytes(1600))
    file.seek(0)
    reply = client.audio.transcriptions.create(model=MODEL, file=('silence.wav', file, 'audio/wav'))
    assert isinstance(reply.text, str)


@check
def unknown_model():
    error = raises(openai.NotFoundError, lambda: client.chat.completions.create(**{**ASK, 'model': 'nope'}))
    assert 'nope' in str(error) and error.body['message']
    raises(openai.NotFoundError, lambda: client.chat.completions.create(**{**ASK, 'model': 'nope'}, stream=True))


@check
def refused_by_the_engine():
    error = raises(openai.BadRequestError, lambda: client.chat.completions.create(**{**ASK, 'temperature': -1}))
    assert 'temperature' in str(error)


@needs_ours
def wrong_key():
    raises(openai.AuthenticationError, lambda: client_with('sk-wrong').chat.completions.create(**ASK))


@needs_ours
def over_the_limit():
    limited = client_with(LIMITED_KEY)
    limited.chat.completions.create(**ASK)
    error = raises(openai.RateLimitError, lambda: limited.chat.completions.create(**ASK))
    assert 0 < float(error.response.headers['retry-after']) <= 60


def langchain(**more):
    return ChatOpenAI(model=MODEL, base_url=BASE, api_key=KEY, temperature=0, max_retries=0, **more)


@needs_ours
def a_batch_of_lines():
    line = {'method': 'POST', 'url': '/v1/chat/completions', 'body': ASK}
    text = '\n'.join(json.dumps({'custom_id': f'line-{n}', **line}) for n in range(5))
    file = client.files.create(file=('in.jsonl', text.encode()), purpose='batch')
    batch = client.batches.create(input_file_id=file.id, endpoint='/v1/chat/completions', completion_window='24h')
    for _ in range(200):
        batch = client.batches.retrieve(batch.id)
        if batch.status == 'completed':
            break
        time.sleep(0.05)
    assert batch.request_counts.completed == 5, batch
    lines = client.files.content(batch.output_file_id).text.splitlines()
    assert {json.loads(one)['custom_id'] for one in lines} == {f'line-{n}' for n in range(5)}
    assert client.files.delete(file.id).deleted
    assert batch.id in [one.id for one in client.batches.list(limit=1)]


@check
def langchain_chat_and_stream():
    whole = langchain(max_tokens=12).invoke('Which worker answers me?')
    assert whole.content and whole.usage_metadata['output_tokens'] > 0
    pieces = list(langchain(max_tokens=12, stream_usage=True).stream('Which worker answers me?'))
    assert ''.join(piece.content for piece in pieces) == whole.content
    assert any(piece.usage_metadata for piece in pieces)


@check
def langchain_tool():
    reply = langchain(max_tokens=200).bind_tools([WEATHER], tool_choice='get_weather').invoke('Weather?')
    assert_weather(reply.tool_calls[0]['args'])


@check
def langchain_structured():
    reply = langchain(max_tokens=80).with_structured_output(Answer, method='json_schema').invoke('Warm?')
    assert isinstance(reply, Answer)


@check
def langchain_batch():
    assert len(langchain(max_tokens=4).batch(['a', 'b', 'c'])) == 3


@needs_all_tasks
def langchain_embeddings():
    embedder = OpenAIEmbeddings(model=MODEL, base_url=BASE, api_key=KEY, max_retries=0, check_embedding_ctx_length=False)
    vectors = embedder.embed_documents(['one', 'two'])
    assert len(vectors) == 2 and len(vectors[0]) == len(vectors[1]) > 0


def main():
    failed = 0
    for run in CHECKS:
        try:
            run()
            print(f'ok    {run.__name__}', flush=True)
        except Exception as error:
            failed += 1
            where = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == __file__][-1]
            print(f'FAIL  {run.__name__}: {type(error).__name__}: {error} (line {where.lineno}: {where.line})', flush=True)
    print(f'{len(CHECKS) - failed} passed, {failed} failed')
    sys.exit(1 if failed else 0)


main()
