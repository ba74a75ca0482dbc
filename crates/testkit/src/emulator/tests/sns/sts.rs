//! STS on the same endpoint.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::emulator::Failure;

/// AWS, STS's `GetCallerIdentity`: the example's elements, whoever asks; it needs no permission.
#[tokio::test]
async fn callers_learn_who_they_are() {
    let emulator = Emulator::start().await.unwrap();
    let ask = async || {
        let mut connection = TcpStream::connect(emulator.local_addr()).await.unwrap();
        let body = "Action=GetCallerIdentity&Version=2011-06-15";
        let head = "POST / HTTP/1.1\r\nhost: h\r\nconnection: close\r\nauthorization: AWS4-HMAC-SHA256 \
                    Credential=someone/20261123/us-east-1/sts/aws4_request\r\ncontent-type: \
                    application/x-www-form-urlencoded\r\n";
        let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = ask().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(
        answer.contains(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <Arn>arn:aws:iam::000000000000:user/someone</Arn><UserId>AIDAEMULATOR</UserId>\
             <Account>000000000000</Account></GetCallerIdentityResult>"
        ),
        "{answer}"
    );
    emulator.fail_next("GetCallerIdentity", Failure::AccessDenied, 1);
    let answer = ask().await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("<Code>AccessDenied</Code>"), "{answer}");
    assert_eq!(emulator.calls().of("someone", "GetCallerIdentity"), 2);
    assert!(emulator.uses().is_empty());
}
