//! The functions that Java calls, by the names that the Java Native Interface gives them.

#![allow(
    unsafe_code,
    reason = "the names of exported functions are a promise to Java that no compiler checks"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use jni::JNIEnv;
use jni::objects::{JByteArray, JClass, JString};
use jni::sys::{jboolean, jint, jlong, jstring};

use crate::judges::{self, Frame};

/// Runs `work`; what goes wrong becomes an exception in Java, and `fallback` is returned to nobody.
fn guarded<'l, T>(
    env: &mut JNIEnv<'l>,
    fallback: T,
    work: impl FnOnce(&mut JNIEnv<'l>) -> Result<T, String>,
) -> T {
    let (class, message) = match catch_unwind(AssertUnwindSafe(|| work(env))) {
        Ok(Ok(value)) => return value,
        Ok(Err(message)) => ("java/lang/IllegalArgumentException", message),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            ("java/lang/IllegalStateException", format!("a defect in libvision_jni: {text}"))
        }
    };
    // When even that fails, Java has an exception pending already.
    let _ = env.throw_new(class, message);
    fallback
}

fn text(env: &mut JNIEnv<'_>, string: &JString<'_>) -> Result<String, String> {
    env.get_string(string).map(Into::into).map_err(|error| error.to_string())
}

// SAFETY: the name is the one that JNI derives from `dev.fogline.vision.Judge.abi`, and nothing else has it.
#[unsafe(no_mangle)]
extern "system" fn Java_dev_fogline_vision_Judge_abi(_env: JNIEnv<'_>, _class: JClass<'_>) -> jint {
    judges::ABI
}

// SAFETY: as above, of `Judge.open`.
#[unsafe(no_mangle)]
extern "system" fn Java_dev_fogline_vision_Judge_open<'l>(
    mut env: JNIEnv<'l>,
    _class: JClass<'l>,
    counter: JString<'l>,
    check_every: jlong,
) -> jlong {
    guarded(&mut env, 0, |env| judges::open(&text(env, &counter)?, check_every))
}

// SAFETY: as above, of `Judge.count`; the only overload that is native.
#[unsafe(no_mangle)]
extern "system" fn Java_dev_fogline_vision_Judge_count<'l>(
    mut env: JNIEnv<'l>,
    _class: JClass<'l>,
    number: jlong,
    camera: JString<'l>,
    jpeg: JByteArray<'l>,
    gated: jboolean,
    people: jlong,
    counter: JString<'l>,
    truth: jlong,
) -> jlong {
    guarded(&mut env, 0, |env| {
        let counter = if counter.is_null() { None } else { Some(text(env, &counter)?) };
        let frame = Frame {
            camera: text(env, &camera)?,
            jpeg: env.convert_byte_array(&jpeg).map_err(|error| error.to_string())?,
            gated: gated != 0,
            people,
            counter,
            truth,
        };
        judges::count(number, frame)
    })
}

// SAFETY: as above, of `Judge.figures`.
#[unsafe(no_mangle)]
extern "system" fn Java_dev_fogline_vision_Judge_figures<'l>(
    mut env: JNIEnv<'l>,
    _class: JClass<'l>,
    number: jlong,
) -> jstring {
    guarded(&mut env, std::ptr::null_mut(), |env| {
        let figures = judges::figures(number)?;
        env.new_string(figures).map(|text| text.into_raw()).map_err(|error| error.to_string())
    })
}

// SAFETY: as above, of `Judge.close`.
#[unsafe(no_mangle)]
extern "system" fn Java_dev_fogline_vision_Judge_close<'l>(
    mut env: JNIEnv<'l>,
    _class: JClass<'l>,
    number: jlong,
) {
    guarded(&mut env, (), |_| judges::close(number));
}
